"""The stack language: worked by hand, and Python's own arithmetic as the oracle."""

import random

import pytest

from course_lib.text.stories.programs import (
    OPERATIONS,
    Task,
    make_task,
    prompt_task,
    run_program,
    write_tasks,
)


@pytest.mark.parametrize(
    ("program", "number", "result"),
    [
        ("dup add 3 add", 5, 13),
        ("9 swap sub", 4, 5),
        ("neg 2 max", 7, 2),
        ("3 min dup mul", 10, 9),
        ("2 over add mul", 3, 15),  # 3 2 3 -> 3 5 -> 15
        ("7 drop", 1, 1),
        ("", -4, -4),
    ],
)
def test_programs_worked_by_hand(program, number, result):
    assert run_program(program, number) == result


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("fly", "'fly' is no word"),
        ("add", "add takes 2 numbers and the stack holds 1"),
        ("dup", "leaves 2 numbers"),
        ("drop", "leaves 0 numbers"),
        ("-3 add", "'-3' is no word"),
        ("² add", "is no word"),
        ("dup mul " * 40, "at most 64"),
        ("9" * 5000, "is no word"),
    ],
)
def test_a_wrong_program_is_one_sentence(program, message):
    with pytest.raises(ValueError, match=message):
        run_program(program, 3)


def test_every_operation_does_what_it_says():
    for n in (1, 4, 9):
        for x in (-7, -1, 0, 2, 10):
            expected = [x + n, x - n, n - x, x * n, max(x, n), min(x, n), 2 * x, x * x, -x]
            for operation, value in zip(OPERATIONS, expected, strict=True):
                task = Task(((operation, n),))
                assert run_program(task.program, x) == value
                assert operation.apply(x, n) == value


def test_a_task_is_solved_by_its_program_and_by_any_other_that_does_the_same():
    double, add = OPERATIONS[6], OPERATIONS[0]
    task = Task(((double, 1), (add, 3)))
    assert task.program == "dup add 3 add"
    assert prompt_task(task, "en") == "Task: double, then add 3.\nProgram:"
    assert prompt_task(task, "ru") == "Задача: удвой, затем прибавь 3.\nПрограмма:"
    assert task.is_solved_by("2 mul 3 add")
    assert not task.is_solved_by("3 add dup add")
    assert not task.is_solved_by("dup add 3")
    assert (10, 23) in task.tests


def test_one_task_in_ten_is_kept_from_training():
    rng = random.Random(0)
    assert all(make_task(rng, held_out=True).is_held_out for _ in range(50))
    shown = [line for _ in range(300) for line in write_tasks(rng, "en").split("\n")]
    programs = {line.removeprefix("Program: ") for line in shown if line.startswith("Program: ")}
    kept = {make_task(random.Random(n), held_out=True).program for n in range(300)}
    assert len(programs) > 300
    assert not programs & kept
