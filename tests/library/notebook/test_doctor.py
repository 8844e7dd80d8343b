"""`course doctor` and `course_lib.notebook.machine`."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from course_lib.notebook import doctor, machine
from course_lib.notebook.doctor import Finding, as_report, as_table
from course_lib.notebook.places import ROOT


def test_every_finding_has_a_value_and_stands_in_table_and_report(monkeypatch):
    monkeypatch.setattr(
        machine, "matmul_gflops", lambda dtype_name, num_threads: 10.0 * num_threads
    )
    findings = doctor.examine()
    assert all(finding.value for finding in findings.values())
    for text in (as_table(findings), as_report(findings)):
        assert all(name in text for name in findings)


def test_a_report_names_neither_the_home_nor_any_folder(monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/home/vasya"))
    findings = {
        "work": Finding("cannot be written (Read-only file system)", place="/data/vasya/work"),
        "cache": Finding("not found out: OSError: '/home/vasya/.cache/x', /srv/vasya/y: no"),
        "speed fp32": Finding("95 GFLOP/s with 1 thread"),
    }
    report = as_report(findings)
    assert "vasya" not in report
    assert "95 GFLOP/s with 1 thread" in report
    assert "/data/vasya/work" in as_table(findings)


def test_remedies_stand_below_what_they_remedy():
    table = as_table({"disk": Finding("0.1 GB free", "make room"), "GPU": Finding("none")})
    assert [line.split()[0] for line in table.splitlines()] == ["disk", "->", "GPU"]


def test_a_broken_installation_still_gets_a_diagnosis():
    """A bare Python has neither PyTorch nor psutil; -S hides the installed packages."""
    script = "from course_lib.notebook import doctor as d; print(d.as_table(d.examine()))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "torch is missing" in done.stdout
    assert "make -B setup" in done.stdout


def test_a_wrong_version_of_a_package_is_named(monkeypatch):
    real = doctor._installed_version
    monkeypatch.setattr(
        doctor, "_installed_version", lambda name: "0.0.1" if name == "einops" else real(name)
    )
    finding = doctor.look_at_packages()
    assert finding.is_broken
    assert "einops is 0.0.1, not ==" in finding.value


def test_a_local_version_tag_is_the_same_version(monkeypatch):
    real = doctor._installed_version
    tagged = f"{torch.__version__.split('+')[0]}+cu130"
    monkeypatch.setattr(
        doctor, "_installed_version", lambda name: tagged if name == "torch" else real(name)
    )
    assert "torch" not in doctor.look_at_packages().value


def test_a_folder_that_cannot_be_written_is_broken_with_its_variable(tmp_path):
    (tmp_path / "file").touch()
    finding = doctor.look_at_folder(tmp_path / "file", "COURSE_CACHE")
    assert finding.is_broken
    assert "COURSE_CACHE" in finding.remedy
    assert not doctor.look_at_folder(tmp_path / "not" / "yet", "COURSE_CACHE").is_broken
    assert not (tmp_path / "not").exists()


@pytest.mark.parametrize(
    ("gpu", "build", "remedy"),
    [(True, None, "README"), (True, "13.0", "driver"), (False, None, "")],
)
def test_a_gpu_that_pytorch_cannot_use_has_a_remedy(monkeypatch, gpu, build, remedy):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", build)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/nvidia-smi" if gpu else None)
    finding = doctor.look_at_gpu()
    assert remedy in finding.remedy
    assert bool(finding.remedy) is gpu


def test_the_summary_is_short_and_says_the_cores(monkeypatch):
    monkeypatch.setattr(machine, "processor_name", lambda: "AMD EPYC")
    monkeypatch.setattr(machine, "num_cores", lambda: 2)
    monkeypatch.setattr(machine, "gpu_name", lambda: None)
    assert machine.machine_summary() == "AMD EPYC, 2 cores"
    monkeypatch.setattr(machine, "gpu_name", lambda: "NVIDIA H100")
    assert machine.machine_summary() == "AMD EPYC, 2 cores, NVIDIA H100"


def test_measuring_speed_leaves_the_number_of_threads_as_it_was():
    before = torch.get_num_threads()
    assert machine.matmul_gflops("float32", num_threads=before + 1, seconds=0.0) > 0
    assert torch.get_num_threads() == before
