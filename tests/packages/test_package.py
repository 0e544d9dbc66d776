"""The Debian package, installed on a bare Debian 12 made by debootstrap: everything it needs comes with it.

Part of `tools/test --full`: it downloads a distribution.
"""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "release"
DAEMONS = ["srd", "sgd", "spad", "scscd"]
TOOLS = ["sgctl", "srctl", "spactl", "scscctl", "dmsc-pod", "dmsc-replay"]


def run(*argv: str | Path, cwd: Path | None = None, check: bool = True) -> subprocess.CompletedProcess:
    """Runs with both outputs in the failure's message."""
    done = subprocess.run([str(word) for word in argv], cwd=cwd, text=True, capture_output=True, timeout=900,
                          check=False, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"})
    assert not check or done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def mirror() -> str:
    """Where this machine gets its distribution from."""
    for line in run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
                    "Created-By: Packages").stdout.splitlines():
        uri, release, component = line.split()
        if release == "bookworm" and component == "main":
            return uri
    pytest.fail("no source of the distribution bookworm in apt's lists: run apt-get update")


@pytest.fixture(scope="module")
def package() -> Path:
    out = BUILD / "package"
    shutil.rmtree(out, ignore_errors=True)
    run("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", out, cwd=BUILD)
    found = list(out.glob("*.deb"))
    assert len(found) == 1, found
    return found[0]


class Bare:
    """A Debian with nothing but its essential packages; commands run in namespaces of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        run("debootstrap", "--variant=minbase", "bookworm", root, mirror())
        policy = root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess:
        inside = 'mount -t proc proc "$0/proc" && root=$0 && exec chroot "$root" "$@"'
        return run("unshare", "--mount", "--pid", "--fork", "sh", "-c", inside, self.root, *argv, check=check)


@pytest.fixture(scope="module")
def bare(package: Path) -> Iterator[Bare]:
    root = Path(tempfile.mkdtemp(prefix="dmsc-bare."))
    try:
        machine = Bare(root)
        shutil.copy(package, root / "dmsc.deb")
        machine.run("apt-get", "install", "-y", "-q", "--no-install-recommends", "/dmsc.deb")
        yield machine
    finally:
        shutil.rmtree(root)


def test_every_program_starts(bare: Bare) -> None:
    for program in DAEMONS + TOOLS:
        assert re.fullmatch(rf"{program} \d+\.\d+\.\d+\n", bare.run(program, "--version").stdout), program


def test_the_examples_are_complete(bare: Bare) -> None:
    """What an operator copies and edits is accepted as it is, or names what must be filled in."""
    for daemon in DAEMONS:
        example = bare.root / f"etc/dmsc/{daemon}.yaml.example"
        done = bare.run(daemon, "--check", "--config", f"/etc/dmsc/{daemon}.yaml.example", check=False)
        assert example.exists() and done.returncode == 0, f"{daemon}: {done.stdout}{done.stderr}"


def test_users_and_units_are_there(bare: Bare) -> None:
    users = (bare.root / "etc/passwd").read_text()
    for daemon in DAEMONS:
        assert f"dmsc-{daemon}:" in users
        unit = (bare.root / f"lib/systemd/system/{daemon}.service").read_text()
        assert f"ExecStart=/usr/sbin/{daemon} " in unit
        assert not re.search("@[A-Z_]+@", unit), "a word of the template was left unfilled"


def test_an_upgrade_keeps_the_operators_files(bare: Bare) -> None:
    mine = bare.root / "etc/dmsc/srd.yaml"
    mine.write_text("# mine\n")
    state = bare.root / "var/lib/dmsc/srd/state"
    state.parent.mkdir(parents=True, exist_ok=True)
    state.write_text("kept")
    bare.run("apt-get", "install", "-y", "-q", "--reinstall", "--no-install-recommends", "/dmsc.deb")
    assert mine.read_text() == "# mine\n" and state.read_text() == "kept"


def test_removal_leaves_only_what_is_the_operators(bare: Bare) -> None:
    """Runs last: purging leaves state and own files, and no program, unit or document."""
    bare.run("apt-get", "purge", "-y", "-q", "dmsc")
    left = bare.run("sh", "-c", "ls -d /usr/sbin/srd /usr/bin/sgctl /lib/systemd/system/s*d.service /usr/share/doc/dmsc "
                    "/etc/dmsc/*.example 2>/dev/null", check=False).stdout.split()
    assert [path for path in left if "systemd-" not in path] == []
    assert (bare.root / "etc/dmsc/srd.yaml").exists()
