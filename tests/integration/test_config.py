"""The commented examples in config/ are what the daemons accept."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dmsclab.programs import build_dir

from conftest import left_out

ROOT = Path(__file__).resolve().parents[2]
DAEMONS = ["srd", "sgd", "spad", "scscd"]


def check(daemon: str, file: Path) -> subprocess.CompletedProcess:
    if not (build_dir() / daemon).exists():
        left_out(f"not built: {daemon}")
    return subprocess.run([build_dir() / daemon, "--config", file, "--check"], capture_output=True, text=True)


@pytest.mark.parametrize("daemon", DAEMONS)
def test_the_example_passes(daemon: str) -> None:
    done = check(daemon, ROOT / "config" / f"{daemon}.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{ROOT}/config/{daemon}.yaml: ok\n"


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_misspelt_section_of_the_example_is_found(daemon: str, tmp_path: Path) -> None:
    lines = (ROOT / "config" / f"{daemon}.yaml").read_text().splitlines()
    at = lines.index("log:")
    lines[at] = "lgo:"
    file = tmp_path / "bad.yaml"
    file.write_text("\n".join(lines) + "\n")
    done = check(daemon, file)
    assert done.returncode == 2
    assert done.stderr == f"{file}:{at + 1}:1: lgo: unknown key: did you mean 'log'?\n"


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_file_that_is_not_there_is_named(daemon: str, tmp_path: Path) -> None:
    done = check(daemon, tmp_path / "none.yaml")
    assert (done.returncode, done.stderr) == (2, f"{tmp_path}/none.yaml: No such file or directory\n")


@pytest.mark.parametrize("length", [0, 7, 29, 32])
def test_a_virtual_range_that_cannot_be_halved_is_refused(length: int, tmp_path: Path) -> None:
    text = (ROOT / "config" / "sgd.yaml").read_text()
    old = next(line for line in text.splitlines() if "virtual_range:" in line)
    file = tmp_path / "bad.yaml"
    file.write_text(text.replace(old, f"  virtual_range: 100.96.0.0/{length}"))
    done = check("sgd", file)
    assert done.returncode == 2
    assert "names.virtual_range: its length is not between /8 and /28" in done.stderr


def test_limits_of_the_domain_are_checked_by_line_and_column(tmp_path: Path) -> None:
    lines = (ROOT / "config" / "spad.yaml").read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("    per_node: 100000"))
    lines[at] = "    per_node: none"
    file = tmp_path / "bad.yaml"
    file.write_text("\n".join(lines) + "\n")
    done = check("spad", file)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{file}:{at + 1}:15: limits.prefixes.per_node: ")
