"""Real processes: results by rank, errors that say where, hangs that end, nothing left behind."""

import linecache
import os
import signal
import subprocess
import sys
import threading
import types

import psutil
import pytest
import torch
import torch.distributed as dist
from torch import nn

from course_lib.parallel.ranks import run_on_ranks

CELL = """
import torch
import torch.distributed as dist

SCALE = 10

class Refusal(Exception):
    pass

def helper(x):
    return SCALE * x

def scaled_sum(x):
    total = helper(x + dist.get_rank())
    dist.all_reduce(total)
    return total

def refuse():
    if dist.get_rank() == 1:
        raise Refusal("no, says 1")

def typed_closure(offset):
    return lambda: offset + dist.get_rank()
"""


@pytest.fixture
def cell():
    """A cell's names, in a namespace like a notebook's: `__main__`, and no file to import."""
    filename = "<a notebook's cell>"
    linecache.cache[filename] = (len(CELL), None, CELL.splitlines(keepends=True), filename)
    names = {"__name__": "__main__"}
    exec(compile(CELL, filename, "exec"), names)
    yield names
    del linecache.cache[filename]


def rank_times(factor):
    return dist.get_rank() * factor


def descendants():
    return {process.pid for process in psutil.Process().children(recursive=True)}


def test_results_come_by_rank():
    assert run_on_ranks(rank_times, 3, 7) == [0, 7, 14]
    assert run_on_ranks(lambda: dist.get_world_size(), 1) == [1]


def test_a_function_typed_in_a_notebook_works(cell):
    results = run_on_ranks(cell["scaled_sum"], 3, torch.tensor([1.0, 2.0]))
    assert [result.tolist() for result in results] == [[60.0, 90.0]] * 3
    assert run_on_ranks(cell["typed_closure"](5), 2) == [5, 6]


def test_an_answer_from_a_module_made_at_run_time_works(monkeypatch):
    module = types.ModuleType("answers_of_a_learner")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec("def double(x):\n    return 2 * x", module.__dict__)

    def call(answer):
        return answer(dist.get_rank())

    assert run_on_ranks(call, 2, module.double) == [0, 2]


def test_tensors_come_back_detached_and_without_the_rest_of_their_storage():
    def work():
        x = torch.arange(1e5, requires_grad=True) * 2
        return {"view": x[3:5], "parameter": nn.Parameter(torch.ones(2)), "half": x[:1].bfloat16()}

    (result,) = run_on_ranks(work, 1)
    assert result["view"].tolist() == [6.0, 8.0]
    assert not result["view"].requires_grad
    assert not result["view"].is_shared()
    assert result["view"].untyped_storage().nbytes() == 8
    assert isinstance(result["parameter"], nn.Parameter)
    assert result["half"].dtype == torch.bfloat16


def test_prints_appear_with_their_rank(capsys):
    def work():
        print("one\ntwo", dist.get_rank())
        print("unfinished", end="")
        print("a warning", file=sys.stderr)

    run_on_ranks(work, 2)
    shown = capsys.readouterr()
    for rank in (0, 1):
        own = [line for line in shown.out.splitlines() if line.startswith(f"[rank {rank}] ")]
        assert [line[9:] for line in own] == ["one", f"two {rank}", "unfinished"]
        assert f"[rank {rank}] a warning\n" in shown.err


def test_no_call_sees_what_an_earlier_one_changed():
    def change():
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(5)
        return torch.rand(1).item()

    fresh = run_on_ranks(lambda: torch.rand(2), 2)
    run_on_ranks(change, 2)
    again = run_on_ranks(lambda: torch.rand(2), 2)
    torch.testing.assert_close(again, fresh, rtol=0, atol=0)


def test_an_error_names_its_rank_and_line(cell):
    with pytest.raises(cell["Refusal"], match="no, says 1") as caught:
        run_on_ranks(cell["refuse"], 3)
    (note,) = caught.value.__notes__
    assert note.startswith("raised on rank 1 of 3\n")
    assert 'raise Refusal("no, says 1")' in note
    assert "/parallel/rank" not in note


def test_a_rank_that_fails_is_reported_though_the_others_wait_for_it():
    def work():
        if dist.get_rank() == 2:
            raise KeyError("lost")
        dist.barrier()

    with pytest.raises(KeyError, match="lost") as caught:
        run_on_ranks(work, 4)
    assert "rank 2 of 4" in caught.value.__notes__[0]
    assert len(caught.value.__notes__) == 1


def test_an_early_failure_does_not_cut_its_peers_off(capsys):
    def work():
        if dist.get_rank() == 0:
            raise ValueError("early")
        tensor = torch.ones(1)
        if dist.get_rank() == 1:
            dist.send(tensor, 2)
        else:
            dist.recv(tensor, 1)
        print("done")

    with pytest.raises(ValueError, match="early"):
        run_on_ranks(work, 3)
    assert "[rank 1] done" in (shown := capsys.readouterr().out)
    assert "[rank 2] done" in shown


def test_when_all_fail_the_lowest_rank_speaks():
    with pytest.raises(ZeroDivisionError) as caught:
        run_on_ranks(lambda: 1 // 0, 3)
    assert caught.value.__notes__[0].startswith("raised on rank 0 of 3")
    assert caught.value.__notes__[1] == "ranks 1 and 2 failed too"


def test_an_error_that_cannot_travel_is_named():
    class Locked(Exception):
        def __init__(self, key, lock):
            super().__init__(f"locked by {key}")
            self.lock = lock and threading.Lock()

    def work(lock):
        raise Locked("me", lock)

    for lock in (True, False):  # cannot be packed; can be, but its two arguments are lost
        with pytest.raises(RuntimeError, match=r"^Locked: locked by me\n"):
            run_on_ranks(work, 1, lock)


def test_an_exit_of_a_rank_does_not_end_the_caller():
    with pytest.raises(RuntimeError, match="SystemExit: 3"):
        run_on_ranks(lambda: sys.exit(3), 2)


def test_a_rank_that_dies_is_told_before_its_peers_lost_connections():
    def work():
        if dist.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        dist.all_reduce(torch.ones(1))

    with pytest.raises(RuntimeError, match=r"ended without a result.*signal 9") as caught:
        run_on_ranks(work, 3)
    assert caught.value.__notes__[0] == "raised on rank 1 of 3"


def test_a_result_that_cannot_travel_is_named():
    with pytest.raises(ValueError, match="the result, a lock, cannot be sent"):
        run_on_ranks(lambda: threading.Lock(), 1)
    with pytest.raises(ValueError, match="cannot be sent to ranks"):
        run_on_ranks(lambda lock: lock, 1, threading.Lock())


def test_a_hang_ends_and_says_who_stands_where():
    def work():
        if dist.get_rank() != 1:
            dist.barrier()

    with pytest.raises(TimeoutError) as caught:
        run_on_ranks(work, 3, timeout_seconds=3)
    text = str(caught.value)
    assert text.startswith("ranks 0 and 2 of 3 did not end within 3 s; rank 1 did. Likely a coll")
    assert "rank 2 stands at\n" in text
    assert text.count("            dist.barrier()\n".strip()) >= 2


def test_nothing_runs_after_a_call_however_it_ends():
    run_on_ranks(len, 2, [])
    server = descendants()

    def loop():
        while True:
            pass

    for function, seconds, error in ((len, 60, TypeError), (loop, 1, TimeoutError)):
        with pytest.raises(error):
            run_on_ranks(function, 3, timeout_seconds=seconds)
        assert descendants() == server


SCRIPT = """
import os, sys, torch.distributed as dist, psutil
from course_lib.parallel.ranks import run_on_ranks
def loop():
    print("looping", flush=True)
    while True:
        pass
if sys.argv[1] == "loop":
    try:
        run_on_ranks(loop, 2)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
print(run_on_ranks(lambda: dist.get_rank(), 2))
"""  # no `if __name__ == "__main__"`: the ranks must not run it again


def start_script(tmp_path, *arguments):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-u", str(script), *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.mark.slow
@pytest.mark.budget(60)
def test_a_script_needs_no_guard(tmp_path):
    out, errors = start_script(tmp_path, "once").communicate(timeout=120)
    assert (out, errors) == ("[0, 1]\n", "")


@pytest.mark.slow
@pytest.mark.budget(60)
def test_an_interrupt_ends_the_ranks_and_the_next_call_works(tmp_path):
    with start_script(tmp_path, "loop") as process:
        assert "looping" in process.stdout.readline()
        left = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)  # as Jupyter does: to the whole group
        out, errors = process.communicate(timeout=120)
    assert out.replace("[rank 0] looping\n", "").replace("[rank 1] looping\n", "") == (
        "interrupted\n[0, 1]\n"
    )
    assert errors == ""
    assert psutil.wait_procs(left, timeout=20)[1] == []


@pytest.mark.slow
@pytest.mark.budget(60)
def test_ranks_end_when_their_caller_is_killed(tmp_path):
    with start_script(tmp_path, "loop") as process:
        assert "looping" in process.stdout.readline()
        left = psutil.Process(process.pid).children(recursive=True)
        assert len(left) >= 3  # the server and the ranks
        process.kill()
        assert psutil.wait_procs(left, timeout=20)[1] == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"world_size": 0}, "world_size=0 must be an integer from 1 to 16"),
        ({"world_size": 17}, "world_size=17"),
        ({"world_size": 2, "timeout_seconds": 0}, "timeout_seconds=0 must be above 0"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        run_on_ranks(**{"function": len, **settings})


def test_ranks_do_not_start_ranks():
    with pytest.raises(ValueError, match="cannot be called on a rank"):
        run_on_ranks(lambda: run_on_ranks(len, 2, []), 1)


@pytest.mark.slow
@pytest.mark.budget(120)
def test_a_hundred_runs_do_not_hang():
    def work(run):
        total = torch.tensor([run + dist.get_rank()])
        if run % 5 == 4 and dist.get_rank() == run % 4:
            raise ArithmeticError(run)
        dist.all_reduce(total)
        return total.item()

    before = None
    for run in range(100):
        if run % 5 == 4:
            with pytest.raises(ArithmeticError, match=str(run)):
                run_on_ranks(work, 4, run, timeout_seconds=30)
        else:
            assert run_on_ranks(work, 4, run, timeout_seconds=30) == [4 * run + 6] * 4
        before = before or descendants()
    assert descendants() == before
