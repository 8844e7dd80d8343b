"""JupyterLab on the learner's work: what is prepared, asked for and refused before it starts."""

import importlib.util
import os
import re
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from course_lib.notebook.places import ROOT, work_folder

FIRST_CHAPTER = "00_welcome.ipynb"
# Switches off the extension that asks about news and looks for updates; a flag does not reach it.
CONFIGURATION = ROOT / "course_lib" / "notebook" / "jupyter"


def start(options: Sequence[str]) -> None:
    """Copy what is new into the work folder and become JupyterLab; does not return.

    ValueError, one sentence, without JupyterLab, with a busy port or a folder that cannot be
    written. `options` are JupyterLab's own and win over the course's.
    """
    from course_lib.notebook.update import changed_chapters, copy_new_chapters

    if importlib.util.find_spec("jupyterlab") is None:
        raise ValueError(f"JupyterLab is not installed for {sys.executable}: make setup")
    refuse_busy_port(options)
    work = work_folder().absolute()
    refuse_unwritable(work)
    copied = copy_new_chapters()
    if copied:
        print(f"Copied to {work}: {', '.join(copied)}")
    for stem in changed_chapters():
        print(f"chapter {stem[:2]} has changed: course update")
    sys.stdout.flush()
    command = lab_command(work, options)
    os.execve(command[0], command, lab_environment(work, os.environ))


def lab_command(work: Path, options: Sequence[str] = ()) -> list[str]:
    """The command line: this environment's JupyterLab, on `work`, at the first chapter."""
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={work}"]
    if (work / FIRST_CHAPTER).exists():
        command += [f"--LabApp.default_url=/lab/tree/{FIRST_CHAPTER}"]
    if os.geteuid() == 0:
        command += ["--allow-root"]
    return [*command, *options]


def lab_environment(work: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Kernels of this very Python that find `course_lib`, and open tabs kept with the work.

    Without the preference a kernel named python3 in the home folder would win over the course's;
    a workspace shared with other JupyterLabs would reopen tabs of files that are not here.
    """

    def before(variable: str, folder: Path) -> str:
        return os.pathsep.join(filter(None, (str(folder), environment.get(variable))))

    return {
        **environment,
        "COURSE_HOME": str(work),
        "JUPYTER_CONFIG_PATH": before("JUPYTER_CONFIG_PATH", CONFIGURATION),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTERLAB_WORKSPACES_DIR": str(work / ".jupyterlab"),
        "PYTHONPATH": before("PYTHONPATH", ROOT),
    }


def refuse_busy_port(options: Sequence[str]) -> None:
    """ValueError if a port that was asked for is taken; without one JupyterLab finds a free one."""
    match = re.search(r"--(?:ServerApp\.)?port[= ](\d+)", " ".join(options))
    if match is None:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(match[1])))
        except (OSError, OverflowError) as error:
            raise ValueError(
                f"port {match[1]} cannot be had ({error}): choose another, or stop what runs there"
            ) from None


def refuse_unwritable(work: Path) -> None:
    """Make the work folder and prove that it can be written; ValueError says what else to do."""
    try:
        work.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=work).close()
    except OSError as error:
        raise ValueError(
            f"{work} cannot be written ({error.strerror}): put your work elsewhere, "
            "for example COURSE_HOME=~/course-work course lab"
        ) from None
