"""What a failed check says."""

import pytest

from course_lib.notebook.failures import describe_failure


def test_the_notes_of_an_error_are_shown():
    """An error of a rank carries the rank and its line as a note."""
    error = ValueError("no such key")
    error.add_note("raised on rank 2 of 4\nline 7: keys[step]")
    with pytest.raises(ValueError) as excinfo:
        raise error
    lines = describe_failure(excinfo, None).splitlines()
    assert lines == ["ValueError: no such key", "raised on rank 2 of 4", "line 7: keys[step]"]
