"""A learner's first minutes, in a real browser."""

import os
from collections.abc import Iterator

import pytest
from browser import Lab, Notebook, open_page, start_lab
from playwright.sync_api import Page

from course_lib.notebook.machine import find_browser
from course_lib.notebook.places import chapter_stems
from course_lib.text.sources import cache_folder

OVERFLOWING = """def softmax(scores, dim):
    weights = scores.exp()
    return weights / weights.sum(dim, keepdim=True)
"""
RIGHT = """def softmax(scores, dim):
    weights = (scores - scores.amax(dim, keepdim=True)).exp()
    return weights / weights.sum(dim, keepdim=True)
"""

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab with an empty home and an empty work folder."""
    if find_browser() is None:
        reason = "no Chromium: apt install chromium (`course doctor` looks for it)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    home = tmp_path_factory.mktemp("home")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")},
        "HOME": str(home),
        "COURSE_HOME": str(home / "work"),
        "COURSE_CACHE": str(cache_folder().absolute()),
        "OMP_NUM_THREADS": "1",
    }
    with start_lab(environment) as lab:
        yield lab


@pytest.fixture(scope="module")
def page(lab: Lab) -> Iterator[Page]:
    """One browser page for the tests of this file: starting one costs seconds."""
    with open_page() as page:
        yield page


@pytest.mark.budget(30)
def test_a_learner_runs_answers_and_moves_a_slider(lab: Lab, page: Page) -> None:
    notebook = Notebook.open(page, lab, "00_welcome.ipynb")
    notebook.run_all()
    notebook.screenshot("00_run_all")
    assert notebook.page.get_by_text("Jupyter news").count() == 0
    assert "not attempted" in notebook.cell_output("check(softmax)")

    notebook.set_cell("def softmax", OVERFLOWING)
    notebook.run_cell("def softmax")
    assert "WrongAnswer" in notebook.run_cell("check(softmax)")
    notebook.screenshot("00_wrong_answer", "check(softmax)")

    notebook.set_cell("def softmax", RIGHT)
    notebook.run_cell("def softmax")
    told = notebook.run_cell("check(softmax)")
    assert "right" in told
    assert "WrongAnswer" not in told
    notebook.screenshot("00_right_answer", "check(softmax)")

    before = notebook.picture("demos.")
    notebook.screenshot("00_demo_before", "demos.")
    notebook.move_slider("demos.")
    notebook.wait_for_another_picture("demos.", before)
    notebook.screenshot("00_demo_after", "demos.")


@pytest.mark.budget(10)
@pytest.mark.parametrize("stem", chapter_stems())
def test_every_chapter_opens_with_its_mathematics(stem: str, lab: Lab, page: Page) -> None:
    """Cells are run by test_notebooks; here only what a browser draws can go wrong."""
    notebook = Notebook.open(page, lab, f"{stem}.ipynb")
    notebook.screenshot(f"{stem}_opened")
    assert notebook.mathematics_errors() == []
