"""The rules of the tree: what stands where, and what every file owes."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

from course_lib.notebook.exercises import EXERCISES, plain_function
from course_lib.notebook.notebooks import format_notebook, read_notebook, strip
from course_lib.notebook.places import ROOT, chapter_stems
from course_lib.notebook.submissions import Submissions, is_stub

MODULES = sorted(ROOT.glob("course_lib/**/*.py"))
KERNELS = sorted(ROOT.glob("kernels/*.py"))
NOTEBOOKS = sorted([*ROOT.glob("chapters/*.ipynb"), *ROOT.glob("solutions/*.ipynb")])
EXERCISE_PAIRS = [(stem, each) for stem, of in EXERCISES.items() for each in of]
EXERCISE_IDS = [exercise.name for _, exercise in EXERCISE_PAIRS]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_chapter_has_its_solution_and_its_checks():
    stems = chapter_stems()
    assert stems, "there are no chapters"
    assert stems == sorted(path.stem for path in ROOT.glob("solutions/*.ipynb"))
    checked = sorted(path.stem.removeprefix("test_") for path in ROOT.glob("tests/chapters/*.py"))
    assert stems == checked
    assert set(EXERCISES) <= set(stems)


def test_names_of_exercises_are_unique_over_the_course():
    names = [exercise.name for _, exercise in EXERCISE_PAIRS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("stem", "exercise"), EXERCISE_PAIRS, ids=EXERCISE_IDS)
def test_stub_matches_the_librarys_signature(stem, exercise):
    stub, problem = Submissions(ROOT / "chapters").answer(exercise.name)
    assert problem is None
    assert is_stub(stub), f"{stem} shows the answer of {exercise.name}"
    library = exercise.library_object()
    assert library.__name__ == exercise.name
    assert str(_plain(stub)) == str(_plain(library))
    assert plain_function(stub).__doc__, f"the stub of {exercise.name} has no docstring"


def _plain(answer: object) -> inspect.Signature:
    """The signature without annotations: names, order, defaults, kinds."""
    signature = inspect.signature(inspect.unwrap(plain_function(answer)))
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
    ]
    return inspect.Signature(parameters)


@pytest.mark.parametrize(("stem", "exercise"), EXERCISE_PAIRS, ids=EXERCISE_IDS)
def test_exercise_stands_in_three_cells(stem, exercise):
    """The task in prose, the stub, and a cell that is exactly `name = check(name)`."""
    cells = read_notebook(ROOT / "chapters" / f"{stem}.ipynb")["cells"]
    call = f"{exercise.name} = check({exercise.name})"
    position = next(number for number, cell in enumerate(cells) if cell["source"].strip() == call)
    task, stub = cells[position - 2], cells[position - 1]
    assert task["cell_type"] == "markdown"
    assert f"`{exercise.name}`" in task["source"]
    assert f"{exercise.minutes} minutes" in task["source"]
    assert f"difficulty {exercise.difficulty} of 5" in task["source"]
    assert re.search(rf"(def|class) {exercise.name}\b", stub["source"])


@pytest.mark.parametrize(("stem", "exercise"), EXERCISE_PAIRS, ids=EXERCISE_IDS)
def test_hints_lead_on_and_stand_only_in_the_table(stem, exercise):
    assert len(exercise.hints) >= 2
    chapter = (ROOT / "chapters" / f"{stem}.ipynb").read_text(encoding="utf-8")
    assert not any(hint[:60] in chapter for hint in exercise.hints)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=relative)
def test_notebook_is_stripped(path):
    expected = format_notebook(strip(read_notebook(path)))
    assert path.read_text(encoding="utf-8") == expected, "run `make strip`"


@pytest.mark.parametrize("path", MODULES + KERNELS, ids=relative)
def test_module_says_what_it_is_and_stays_small(path):
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    assert ast.get_docstring(tree), "no module docstring"
    assert len(source.splitlines()) <= 300, "two topics in one module?"
    undocumented = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and "commands" not in path.parts
    ]
    assert not undocumented


def test_no_module_is_a_drawer_for_everything():
    names = {path.stem for path in MODULES}
    assert not names & {"utils", "util", "common", "helpers", "misc"}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_import_does_nothing(path):
    """No call at module level but to what builds constants; no seed, print, device query."""
    called = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called.add(ast.unparse(node.value))
    assert not called


def test_solutions_train_nothing():
    """A known mistake may hold the training loop that it is about, for the checks to run; no cell
    trains, itself or by calling what it defined.
    """
    for path in ROOT.glob("solutions/*.ipynb"):
        cells = [c["source"] for c in read_notebook(path)["cells"] if c["cell_type"] == "code"]
        body = [statement for cell in cells for statement in ast.parse(cell).body]
        defined = [each for each in body if isinstance(each, ast.FunctionDef | ast.ClassDef)]
        trainers = {each.name for each in defined if _trains(each)}
        for statement in body:
            if statement not in defined:
                assert not _trains(statement), path.name
                called = {
                    node.func.id
                    for node in ast.walk(statement)
                    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                }
                assert not called & trainers, path.name


def _trains(node: ast.AST) -> bool:
    return any(words in ast.unparse(node) for words in (".backward()", "optimizer.step"))


def test_every_command_has_its_help_and_its_two_functions():
    for path in ROOT.glob("course_lib/notebook/commands/[a-z]*.py"):
        module = importlib.import_module(f"course_lib.notebook.commands.{path.stem}")
        assert module.HELP
        assert callable(module.add_arguments)
        assert callable(module.run)
