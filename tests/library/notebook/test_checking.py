"""The exercise engine: verdicts, the live check, what a learner is told."""

import sys
import textwrap

import pytest
import torch

from course_lib.model.activations import softmax as library_softmax
from course_lib.notebook import checking
from course_lib.notebook.checking import WrongAnswer, check, check_rejects, hint, judge, solution
from course_lib.notebook.exercises import find_exercise
from course_lib.notebook.messages import Message, Section
from course_lib.notebook.submissions import is_stub
from course_lib.notebook.time_limits import PATIENCE, call_limited


@pytest.fixture(autouse=True)
def work_in_a_temporary_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))


def define(source: str, name: str = "softmax") -> object:
    namespace = {"torch": torch}
    exec(compile(textwrap.dedent(source), "<a cell>", "exec"), namespace)
    return namespace[name]


RIGHT = """
    def softmax(x, dim):
        shifted = (x - x.amax(dim=dim, keepdim=True)).exp()
        return shifted / shifted.sum(dim=dim, keepdim=True)
    """
NAIVE = """
    def softmax(x, dim):
        return x.exp() / x.exp().sum(dim=dim, keepdim=True)
    """


def test_right_answer_is_returned(capsys):
    answer = define(RIGHT)
    assert check(answer) is answer
    assert "softmax is right" in capsys.readouterr().out


def test_untouched_stub_gives_the_librarys_answer(capsys):
    stub = define("def softmax(x, dim):\n    'Docstring.'\n    raise NotImplementedError")
    assert check(stub) is library_softmax
    assert "not attempted" in capsys.readouterr().out


def test_wrong_answer_raises_one_line_after_showing_the_values(capsys):
    with pytest.raises(WrongAnswer, match="checks fail") as raised:
        check(define(NAIVE))
    assert "\n" not in str(raised.value)
    assert len(raised.value._render_traceback_()) == 1
    shown = capsys.readouterr().out
    assert "nan" in shown
    assert "0.4223" in shown


def test_librarys_own_object_is_said_so_and_not_counted(capsys):
    assert check(library_softmax) is library_softmax
    assert "not counted" in capsys.readouterr().out


def test_name_that_is_no_exercise_is_answered_with_the_close_ones():
    with pytest.raises(ValueError, match="did you mean softmax"):
        check(define("def soft_max(x, dim):\n    return x", "soft_max"))
    with pytest.raises(ValueError, match="takes a function"):
        check(3)


def test_error_inside_the_answer_names_its_line():
    answer = define("def softmax(x, dim):\n    y = x.exp()\n    return y.total()")
    verdict, message = judge(answer, *find_exercise("softmax"))
    assert verdict == "wrong"
    assert "AttributeError" in str(message)
    assert "in your line 3" in str(message)


@pytest.mark.parametrize("catch", ["except Exception: pass", "except: pass"])
def test_endless_loop_is_ended_even_if_it_catches_everything(monkeypatch, catch):
    stem, exercise = find_exercise("softmax")
    monkeypatch.setitem(exercise.__dict__, "limit_seconds", 0.3)
    answer = define(f"def softmax(x, dim):\n while True:\n  try:\n   sum(range(500))\n  {catch}\n")
    verdict, message = judge(answer, stem, exercise)
    assert verdict == "wrong"
    assert "stopped after 0.3 s" in str(message)
    assert ("catches every exception" in str(message)) == (catch == "except: pass")


NESTED = """
def softmax(x, dim):
    def loop(work):
        while True:
            try: work()
            except: pass
    loop(lambda: loop(lambda: loop(lambda: sum(range(500)))))
"""


def test_endless_loops_around_endless_loops_are_ended_whatever_they_catch():
    before = sys.gettrace(), sys.getprofile()
    value, stops = call_limited(lambda: define(NESTED)(None, 0), 0.1)
    assert value is None
    assert PATIENCE < stops < 2 * PATIENCE
    assert (sys.gettrace(), sys.getprofile()) == before


def test_answer_that_swallows_the_alarm_and_returns_is_discarded(monkeypatch):
    stem, exercise = find_exercise("softmax")
    monkeypatch.setitem(exercise.__dict__, "limit_seconds", 0.2)
    answer = define(
        """
        import time
        def softmax(x, dim):
            try:
                time.sleep(1)
            except:
                pass
            return torch.softmax(x, dim)
        """
    )
    assert judge(answer, stem, exercise)[0] == "wrong"


def test_prints_of_the_answer_are_shown():
    answer = define("def softmax(x, dim):\n    print('shape', x.shape)\n    return x")
    assert "Your code printed" in str(judge(answer, *find_exercise("softmax"))[1])


def test_check_rejects_raises_if_the_answer_passes():
    check_rejects(define(NAIVE), "softmax")
    with pytest.raises(AssertionError, match="passes every check"):
        check_rejects(define(RIGHT), "softmax")


def test_hints_come_one_after_the_other(capsys):
    checking._hints_given.clear()
    hint("softmax")
    hint(library_softmax)
    shown = capsys.readouterr().out
    assert "hint 1 of 3" in shown
    assert "hint 2 of 3" in shown


def test_solution_shows_the_source_and_the_explanation(capsys):
    solution("softmax")
    shown = capsys.readouterr().out
    assert "def softmax(" in shown
    assert "overflows" in shown


def test_html_escapes_what_learners_write_and_says_the_verdict_in_words():
    html = Message("wrong", "f is wrong", (Section("<b>", "a `x<y`", "<script>"),)).to_html()
    assert "<script>" not in html
    assert "<code>x&lt;y</code>" in html
    assert 'role="alert"' in html
    assert "--jp-" in html


def test_stub_is_recognised_by_what_it_does():
    assert is_stub(define("def softmax(x):\n    '''Doc.'''\n    raise NotImplementedError"))
    assert not is_stub(define("def softmax(x):\n    if x: raise NotImplementedError\n    return x"))
    methods = "def __init__(self): raise NotImplementedError"
    assert is_stub(define(f"class Thing:\n    '''Doc.'''\n    {methods}", "Thing"))
    assert not is_stub(define("class Thing:\n    def run(self): return 1", "Thing"))


def test_a_failed_comparison_shows_both_sides_and_the_call():
    answer = define("def merge_pair(ids, pair, new_id):\n    return tuple(ids)", "merge_pair")
    message = str(judge(answer, *find_exercise("merge_pair"))[1])
    assert "yours:    (5, 6, 7, 5, 6)" in message
    assert "expected: (256, 7, 256)" in message
    assert "merge_pair((5, 6, 7, 5, 6), (5, 6), 256)" in message
    assert "Use -v" not in message
