"""What a failed check says."""

import pytest

from course_lib.notebook.failures import describe_failure
from course_lib.notebook.messages import failure_sections
from course_lib.notebook.running import CheckOutcome


def test_the_notes_of_an_error_are_shown():
    """An error of a rank carries the rank and its line as a note."""
    error = ValueError("no such key")
    error.add_note("raised on rank 2 of 4\nline 7: keys[step]")
    with pytest.raises(ValueError) as excinfo:
        raise error
    lines = describe_failure(excinfo, None).splitlines()
    assert lines == ["ValueError: no such key", "raised on rank 2 of 4", "line 7: keys[step]"]


@pytest.mark.parametrize(
    ("num_failed", "words"), [(5, "1 more check fails"), (6, "2 more checks fail")]
)
def test_failures_beyond_four_are_counted(num_failed, words):
    failed = [CheckOutcome("test_it", "it holds", "failed", str(n), "") for n in range(num_failed)]
    *told, rest = failure_sections(failed)
    assert len(told) == 4
    assert rest.text == f"... and {words}"


def test_pytests_words_about_a_tensor_are_left_out():
    error = AssertionError(
        "zeros stay zeros\nassert tensor(False)\n +  where tensor(False) = <built-in method all of "
        "Tensor object at 0x7f>()\n +    where <built-in method all of Tensor> = x.all"
    )
    with pytest.raises(AssertionError) as excinfo:
        raise error
    assert describe_failure(excinfo, None).splitlines() == ["zeros stay zeros"]
