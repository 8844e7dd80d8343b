"""`course lock`: constraints.txt is replaced whole or not at all."""

import re
import subprocess
import types

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from course_lib.notebook import lock
from course_lib.notebook.places import ROOT


def test_the_tracked_constraints_fix_every_requirement_without_local_tags():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    fixed = [Requirement(line) for line in text.splitlines()]
    assert all(re.fullmatch(r"==[\w.]+", str(each.specifier)) for each in fixed)
    names = {canonicalize_name(each.name) for each in fixed}
    for file in lock.REQUIREMENTS:
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
            if line and line[0] not in "#-":
                wanted = Requirement(line)
                assert str(wanted.specifier).startswith("==")
                name = canonicalize_name(wanted.name)
                assert name in names
                versions = [each.specifier for each in fixed if each.name == name]
                assert wanted.specifier in versions


def test_a_resolution_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "constraints.txt").write_text("einops==0.8.2\n")
    failed = types.SimpleNamespace(returncode=1, stdout="", stderr="no version of einops\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    monkeypatch.setattr(lock, "_find_uv", lambda: "uv")
    with pytest.raises(ValueError, match="no version of einops"):
        lock.write_constraints(tmp_path)
    assert (tmp_path / "constraints.txt").read_text() == "einops==0.8.2\n"


def test_what_changed_is_listed_old_before_new():
    assert lock.differences("a==1\nb==1\n", "a==1\nb==2\nC==3\n") == ["- b==1", "+ b==2", "+ C==3"]
