"""The replayed run of chapter 07: its record against what the demo says of it."""

import itertools
import json

from course_lib.notebook.demos.gallery import training_run
from course_lib.text.stories import trace_entropy


def test_the_record_has_a_point_for_every_place_of_the_slider():
    points = training_run.record()["points"]
    assert len(points) == training_run.LAST + 1
    steps = [each["step"] for each in points]
    assert steps[0] == 0
    assert len({b - a for a, b in itertools.pairwise(steps)}) == 1


def test_the_record_is_a_run_of_this_world_that_learned():
    record = training_run.record()
    assert abs(record["floor"] - trace_entropy()) < 1e-6
    nats = [each["nats"] for each in record["points"]]
    assert nats[0] > 10 * record["floor"]
    assert record["floor"] < nats[-1] < 1.2 * record["floor"]


def test_a_point_is_described_by_what_it_can_do_and_what_it_wrote():
    first, last = training_run.describe(point=0), training_run.describe(point=training_run.LAST)
    assert "nothing yet" in first
    assert "object" in last
    assert training_run.record()["points"][-1]["story"] in last


def test_what_a_model_writes_is_shown_as_text_and_not_as_markup(monkeypatch):
    point = {
        "step": 0,
        "tokens": 0,
        "nats": 500.0,
        "skills": {"object": 0.0},
        "story": "a<b\n\ufffd",
    }
    later = point | {"tokens": 5, "nats": 40.0}
    monkeypatch.setattr(training_run, "record", lambda: {"floor": 30.0, "points": [point, later]})
    assert "a&lt;b ?" in training_run.render(point=0)
    assert "a<b" not in training_run.render(point=1)


def test_a_record_is_written_to_build(monkeypatch, tmp_path):
    monkeypatch.setattr(training_run, "ROOT", tmp_path)
    point = {"step": 0, "tokens": 0, "nats": 500.0, "skills": {}, "story": "x"}
    path = training_run.write_record([point], floor=30.0)
    assert path == tmp_path / "build" / "training_run.json"
    assert json.loads(path.read_text()) == {"floor": 30.0, "points": [point]}
