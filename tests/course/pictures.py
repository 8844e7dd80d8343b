"""Makes README's pictures: `make pictures` answers exercises in a real JupyterLab and looks."""

import os
import tempfile
from pathlib import Path

from browser import Notebook, open_page, start_lab

from course_lib.notebook.places import ROOT
from course_lib.text.sources import cache_folder

PICTURES = ROOT / "pictures"
OVERFLOWING = """def softmax(x, dim):
    return x.exp() / x.exp().sum(dim=dim, keepdim=True)
"""


def take(notebook: Notebook, wanted: str, name: str) -> None:
    """Save a picture of one cell with its output."""
    PICTURES.mkdir(exist_ok=True)
    notebook.show_cell(wanted).screenshot(path=PICTURES / name)


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        environment = dict(os.environ) | {
            "HOME": home,
            "COURSE_HOME": str(Path(home) / "work"),
            "COURSE_CACHE": str(cache_folder().absolute()),
        }
        with start_lab(environment) as lab, open_page() as page:
            notebook = Notebook.open(page, lab, "00_welcome.ipynb")
            notebook.run_all()
            notebook.set_cell("def softmax", OVERFLOWING)
            notebook.run_cell("def softmax")
            notebook.run_cell("check(softmax)")
            take(notebook, "check(softmax)", "wrong_answer.png")
            notebook = Notebook.open(page, lab, "01_tokenization.ipynb")
            notebook.run_all()
            page.wait_for_timeout(2000)
            take(notebook, "demos.bpe_merges", "bpe_merges.png")
            take(notebook, "demos.tokenizer_playground", "playground.png")


if __name__ == "__main__":
    main()
