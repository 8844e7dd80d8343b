"""Reads the definitions of a notebook without running its lessons.

Imports, functions, classes and constant assignments of all code cells are taken by AST, in order,
and executed in a module of their own; everything else is a lesson and is left alone. What stands
in the way of an exercise is one line that names file, cell and exercise.
"""

import ast
import difflib
import linecache
import re
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path

from course_lib.notebook.notebooks import read_notebook

DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
NOT_CONSTANT = (ast.Call, ast.Name, ast.Attribute, ast.Subscript, ast.Lambda, ast.Await)
MAGIC_LINE = re.compile(r"^\s*([%!?].*|.*\?\s*)$")


@dataclass
class Definitions:
    """What a notebook defines: `namespace` by name, `cells` where, `problems` by name."""

    file: str
    namespace: dict[str, object]
    cells: dict[str, list[int]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    trees: list[tuple[int, ast.Module]] = field(default_factory=list)

    def problem_of(self, name: str) -> str | None:
        """Why exercise `name` cannot be read, in one line; None if it can."""
        if name in self.problems:
            return self.problems[name]
        numbers = self.cells.get(name, [])
        if len(numbers) > 1:
            where = " and ".join(str(number) for number in numbers)
            return f"{self.file}, cells {where} ({name}): both define it, so keep one"
        if not numbers:
            close = difflib.get_close_matches(name, self.cells, n=1)
            renamed = f"; is it {close[0]} in cell {self.cells[close[0]][0]}?" if close else ""
            return f"{self.file} ({name}): no cell defines it{renamed}"
        return None


def load_definitions(path: Path, names: list[str]) -> Definitions:
    """Execute the definitions of a notebook; `names` are the exercises to report on.

    A notebook that cannot be read at all is a ValueError with one line. Definitions run with the
    reader's rights: read only notebooks whose author you trust.
    """
    module = types.ModuleType(f"answers_{path.stem}")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    definitions = Definitions(path.name, module.__dict__)
    for number, cell in enumerate(read_notebook(path)["cells"], start=1):
        if cell["cell_type"] == "code":
            _read_cell(definitions, number, "".join(cell["source"]), names)
    return definitions


def _read_cell(definitions: Definitions, number: int, source: str, names: list[str]) -> None:
    exercises = [name for name in names if re.search(rf"\b(def|class)\s+{name}\b", source)]
    magic = next((line.strip() for line in source.split("\n") if MAGIC_LINE.match(line)), None)

    def report(reason: str) -> None:
        for name in exercises:
            problem = f"{definitions.file}, cell {number} ({name}): {reason}"
            definitions.problems.setdefault(name, problem)
            definitions.cells.setdefault(name, []).append(number)

    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if magic and exercises:
            return report(f"{magic!r} is a notebook command, not Python: move it to another cell")
        if exercises:
            line = getattr(error, "lineno", None) or 1
            return report(f"syntax error in line {line}: {getattr(error, 'msg', error)}")
        without_magics = re.sub(r"(?m)^\s*[%!?].*$", "", source)
        try:
            tree = ast.parse("" if source.lstrip().startswith("%%") else without_magics)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    definitions.trees.append((number, tree))
    # The id tells two notebooks of one name apart: a chapter and its solution.
    filename = f"<{definitions.file}, cell {number}, {id(definitions):x}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    for statement in tree.body:
        if not _is_definition(statement):
            continue
        try:
            code = compile(ast.Module([statement], []), filename, "exec")
            exec(code, definitions.namespace)
        except Exception as error:
            report(f"line {statement.lineno} raised {type(error).__name__}: {error}")
        else:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                definitions.cells.setdefault(statement.name, []).append(number)
    return None


def _is_definition(statement: ast.stmt) -> bool:
    if isinstance(statement, DEFINITIONS):
        return True
    if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        return not any(isinstance(node, NOT_CONSTANT) for node in ast.walk(statement.value))
    return False
