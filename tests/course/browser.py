"""A learner's JupyterLab in a real browser, driven by tests.

`start_lab` runs `course lab`; `Notebook` is one open chapter: cells are found by what their source
contains, so that a chapter may be rearranged without touching the tests.
"""

import secrets
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, sync_playwright

from course_lib.notebook.machine import find_browser
from course_lib.notebook.places import ROOT

SCREENSHOTS = ROOT / "build" / "screenshots"
CHROMIUM_OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
# Parts of JavaScript that find the open notebook and, by a piece of its source, a code cell.
PANEL = "const panel = window.jupyterapp.shell.currentWidget, notebook = panel.content;"
FIND = (
    PANEL
    + """
    const cells = notebook.widgets, source = cell => cell.model.sharedModel.getSource();
    const index = cells.findIndex(
        cell => cell.model.type == "code" && source(cell).includes(wanted));
    if (index < 0) throw new Error("no code cell contains: " + wanted);
    const cell = cells[index];
"""
)
# What a picture holds, as text: a changed address alone would not show that it was redrawn.
CONTENT = """async picture => {
    if (picture.toDataURL) return picture.toDataURL();
    const bytes = await (await fetch(picture.src)).arrayBuffer();
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).join();
}"""


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: where it listens and the token that opens it."""

    port: int
    token: str

    def address(self, notebook: str) -> str:
        """The page that opens the notebook in a workspace with nothing else in it."""
        return f"http://127.0.0.1:{self.port}/lab/tree/{notebook}?token={self.token}&reset"


@contextmanager
def start_lab(environment: dict[str, str]) -> Iterator[Lab]:
    """`course lab` with this environment (COURSE_HOME, HOME); stopped, kernels too, at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        lab = Lab(probe.getsockname()[1], secrets.token_hex(16))
    command = [sys.executable, "-m", "course_lib.notebook.cli", "lab", "--no-browser"]
    command += ["--port", str(lab.port), f"--IdentityProvider.token={lab.token}"]
    command += ["--expose-app-in-browser"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: deque[str] = deque(maxlen=200)
    try:
        for line in process.stdout:
            lines.append(line)
            if f":{lab.port}/" in line:
                break
        else:
            raise AssertionError(f"course lab ended:\n{''.join(lines)}")
        # Someone has to read on, or JupyterLab stands still when the pipe is full.
        threading.Thread(target=lines.extend, args=(process.stdout,), daemon=True).start()
        yield lab
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def open_page() -> Iterator[Page]:
    """A page of headless Chromium, 1280 x 1600; waits of at most 30 seconds."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=list(CHROMIUM_OPTIONS)
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        page.set_default_timeout(30_000)
        yield page
        browser.close()


@dataclass(frozen=True)
class Notebook:
    """One notebook open in JupyterLab, its kernel ready."""

    page: Page

    @classmethod
    def open(cls, page: Page, lab: Lab, name: str) -> "Notebook":
        """Open a notebook of the work folder and wait for its kernel."""
        page.goto(lab.address(name))
        page.wait_for_function(
            """name => {
                const panel = window.jupyterapp?.shell?.currentWidget;
                return panel?.context?.path == name && panel.context.isReady
                    && panel.sessionContext.isReady
                    && panel.sessionContext.session?.kernel?.status == "idle";
            }""",
            arg=name,
        )
        return cls(page)

    def run_all(self) -> None:
        """Run every cell and wait; a cell that fails fails the test with its error."""
        errors = self.page.evaluate(f"""async () => {{
            {PANEL}
            await window.jupyterapp.commands.execute("notebook:run-all-cells");
            return notebook.widgets.filter(cell => cell.model.type == "code")
                .flatMap(cell => cell.model.outputs.toJSON())
                .filter(output => output.output_type == "error")
                .map(output => output.ename + ": " + output.evalue);
        }}""")
        assert not errors, errors

    def set_cell(self, wanted: str, source: str) -> None:
        """Replace the source of the first code cell that contains `wanted`."""
        self._with_cell("cell.model.sharedModel.setSource(text);", wanted, source)

    def run_cell(self, wanted: str) -> str:
        """Run that cell, wait, and return its output."""
        self._with_cell(
            """notebook.activeCellIndex = index;
            await window.jupyterapp.commands.execute("notebook:run-cell");""",
            wanted,
        )
        return self.cell_output(wanted)

    def cell_output(self, wanted: str) -> str:
        """What the cell shows, as text: streams, results (HTML as it stands) and errors."""
        return self._with_cell(
            """return cell.model.outputs.toJSON().flatMap(output => [
                output.text, output.data?.["text/html"] ?? output.data?.["text/plain"],
                output.ename && output.ename + ": " + output.evalue,
            ]).flat().filter(Boolean).join("\\n");""",
            wanted,
        )

    def show_cell(self, wanted: str) -> Locator:
        """Scroll to the cell, which JupyterLab builds only when it is in sight; its element."""
        index = self._with_cell(
            """notebook.activeCellIndex = index;
            await notebook.scrollToItem(index, "center");
            return index;""",
            wanted,
        )
        shown = self.page.locator(f'.jp-Cell[data-windowed-list-index="{index}"]')
        shown.wait_for()
        return shown

    def move_slider(self, wanted: str, *, steps: int = 5) -> None:
        """Move the first slider of the cell's output by as many presses of the right arrow."""
        handle = self.show_cell(wanted).locator(".noUi-handle").first
        handle.focus()
        for _ in range(steps):
            handle.press("ArrowRight")

    def picture(self, wanted: str) -> str:
        """What the first picture of the cell's output holds, as a text to compare."""
        return self._picture(wanted).evaluate(CONTENT)

    def wait_for_another_picture(self, wanted: str, before: str) -> None:
        """Wait until the cell's first picture holds something else and the kernel has rested."""
        self.page.wait_for_function(
            f"""async ([picture, before]) => {{
                {PANEL}
                return panel.sessionContext.session.kernel.status == "idle"
                    && await ({CONTENT})(picture) != before;
            }}""",
            arg=[self._picture(wanted).element_handle(), before],
        )

    def _picture(self, wanted: str) -> Locator:
        return self.show_cell(wanted).locator("img, canvas").first

    def mathematics_errors(self) -> list[str]:
        """Formulas that MathJax refuses, in every text cell of the notebook."""
        return self.page.evaluate(f"""async () => {{
            {PANEL}
            const wrong = [];
            for (const [index, cell] of notebook.widgets.entries()) {{
                if (cell.model.type != "markdown") continue;
                await notebook.scrollToItem(index);
                await cell.ready;
                wrong.push(...cell.node.querySelectorAll("mjx-merror, merror"));
            }}
            return wrong.map(formula => formula.textContent);
        }}""")

    def screenshot(self, name: str, wanted: str | None = None) -> None:
        """Save build/screenshots/NAME.png, scrolled to the cell if one is named."""
        if wanted is not None:
            self.show_cell(wanted)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def _with_cell(self, body: str, wanted: str, text: str = "") -> object:
        script = f"async ({{wanted, text}}) => {{ {FIND} {body} }}"
        return self.page.evaluate(script, {"wanted": wanted, "text": text})
