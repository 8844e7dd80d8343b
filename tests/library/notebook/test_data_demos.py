"""The demos of chapter 08: the record of weights, and pages under the rules."""

import json

import pytest

from course_lib.notebook.demos.gallery import domain_weights, page_rules
from course_lib.text.domains import DOMAINS


def test_the_record_has_a_distribution_at_every_step():
    record = domain_weights.record()
    assert record["domains"] == list(DOMAINS)
    assert len(record["history"]) == domain_weights.DEMO.controls["step"].high
    for weights in record["history"]:
        assert sum(weights) == pytest.approx(1, abs=1e-3)
        assert min(weights) > 0


def test_the_average_is_of_the_steps_so_far():
    history = domain_weights.record()["history"]
    first, second = history[0][2], history[1][2]
    assert domain_weights.average(2)[2] == pytest.approx((first + second) / 2)


def test_a_step_is_described_by_its_heaviest_domains():
    words = domain_weights.describe(step=1, lines="as they are")
    weights = dict(zip(DOMAINS, domain_weights.record()["history"][0], strict=True))
    assert words.startswith(f"Step 1: most weight on {max(weights, key=weights.get)}")


def test_a_record_is_written_to_build(monkeypatch, tmp_path):
    monkeypatch.setattr(domain_weights, "ROOT", tmp_path)
    path = domain_weights.write_record([[0.123456, 0.876544]], ["a", "b"])
    assert path == tmp_path / "build" / "domain_weights.json"
    assert json.loads(path.read_text()) == {"domains": ["a", "b"], "history": [[0.1235, 0.8765]]}


@pytest.mark.parametrize("kind", page_rules.SHOWN)
def test_every_kind_has_its_pages_and_a_verdict(kind):
    for number in range(1, page_rules.PAGES_A_KIND + 1):
        words = page_rules.describe(kind=kind, number=number)
        is_copy = kind.endswith("copy")
        assert words.endswith("not found." if is_copy else "right.")
        assert words.startswith(f"Labelled {kind}")


def test_markup_of_a_page_is_shown_and_not_obeyed():
    html = page_rules.render(kind="markup", number=1)
    assert "&lt;div id=" in html
    assert "✗ markup" in html
    assert "✓ repetition" in html
