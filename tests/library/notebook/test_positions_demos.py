"""The demos of chapter 06: hands against complex numbers, the record against its schemes."""

import cmath
import json
import math

import pytest

from course_lib.notebook.demos.gallery import extrapolation, rope_hands


@pytest.mark.parametrize(("query", "key", "scale"), [(3, 1, 1.0), (203, 7, 4.0), (0, 250, 2.5)])
def test_cosines_are_those_between_the_hands(query, key, scale):
    for pair, cosine in enumerate(rope_hands.cosines(query, key, scale)):
        frequency = 10.0**-pair
        hands = [cmath.exp(1j * place / scale * frequency) for place in (query, key)]
        assert cosine == pytest.approx((hands[0] * hands[1].conjugate()).real)


def test_moving_both_hands_keeps_the_score():
    before = rope_hands.describe(query=3, key=1, scale=1.0).partition(":")[2]
    assert rope_hands.describe(query=43, key=41, scale=1.0).partition(":")[2] == before


def test_the_record_has_every_shown_scheme_to_its_end():
    trained, step = extrapolation.record()["trained"], extrapolation.record()["step"]
    for scheme in extrapolation.SHOWN:
        length = trained if scheme == "learned" else 4 * trained
        curve = extrapolation.losses(scheme, 4 * trained)
        assert len(curve) == length // step
        assert all(map(math.isfinite, curve))


def test_a_short_text_shows_only_its_own_positions():
    assert len(extrapolation.losses("alibi", 96)) == 96 // extrapolation.record()["step"]
    assert "beyond them it has no vector" in extrapolation.describe(scheme="learned", length=128)


def test_a_record_is_written_to_build(monkeypatch, tmp_path):
    monkeypatch.setattr(extrapolation, "ROOT", tmp_path)
    path = extrapolation.write_record({"rope": [1.23456, 2.0]}, trained=64, step=16)
    assert path == tmp_path / "build" / "extrapolation.json"
    written = json.loads(path.read_text())
    assert written == {"trained": 64, "step": 16, "curves": {"rope": [1.2346, 2.0]}}
