"""The installed units under a real systemd: every daemon starts, reloads, stalls, restarts and stops.

testd, a daemon of the bare skeleton, goes first: what fails there is the skeleton's or the harness's.
"""
from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import pytest

from dmsclab.programs import build_dir
from systemd_machine import Machine

from conftest import left_out

ROOT = Path(__file__).resolve().parents[2]
UNITS = ["srd", "sgd", "scscd", "spad"]   # spad last: the others enrol with it
STOP_LIMIT = 10   # seconds; issue of the first capability, point 10


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Machine(build_dir()) as booted:
        install_testd(booted)
        yield booted


def install_testd(machine: Machine) -> None:
    """The unit of srd, with testd in srd's place."""
    unit = (ROOT / "systemd" / "srd.service.in").read_text()
    unit = unit.replace("@CMAKE_INSTALL_FULL_BINDIR@/srctl reload", "/usr/bin/srctl --run-dir /run/dmsc/testd reload")
    unit = unit.replace("@CMAKE_INSTALL_FULL_SBINDIR@", "/usr/sbin").replace("srd", "testd")
    unit = unit.replace("@DMSC_DOC_DIR@", "/usr/share/doc/dmsc")
    machine.write("/run/systemd/system/testd.service", unit)
    shutil.copy(build_dir() / "tests" / "testd", machine.path("/usr/sbin/testd"))
    machine.write("/run/sysusers.conf", "u dmsc-testd - \"test\" /\n")
    machine.run("systemd-sysusers", "/run/sysusers.conf", check=True)
    machine.run("systemctl", "daemon-reload", check=True)


@dataclass
class Unit:
    """One unit, and how to write it a good and a bad configuration."""
    machine: Machine
    name: str

    def write_config(self, text: str) -> None:
        self.machine.write(f"/etc/dmsc/{self.name}.yaml", text)

    def systemctl(self, verb: str, check: bool = True):
        return self.machine.run("systemctl", verb, self.name, check=check, timeout=90)

    def show(self, key: str) -> str:
        return self.machine.show(self.name, key)

    def pid(self) -> int:
        return int(self.show("MainPID"))

    def wait_active_with_new_pid(self, old: int) -> None:
        self.machine.wait_until(lambda: self.show("ActiveState") == "active" and self.pid() not in (0, old), 40,
                                f"{self.name} does not come back\n{self.machine.journal(self.name)}")


def start(unit: Unit) -> None:
    unit.systemctl("start")   # returns at READY=1
    assert (unit.show("ActiveState"), unit.show("SubState")) == ("active", "running")
    assert unit.show("StatusText") != ""


def reload(unit: Unit, good: str, bad: str, expected_error: str) -> None:
    """`systemctl reload` waits for the outcome; SIGHUP does the same without one."""
    pid = unit.pid()
    unit.write_config(bad)
    assert unit.systemctl("reload", check=False).returncode != 0
    assert re.search(expected_error, unit.machine.journal(unit.name)), unit.machine.journal(unit.name)
    unit.write_config(good)
    unit.systemctl("reload")
    before = unit.machine.journal(unit.name).count("reloaded ")
    unit.machine.run("kill", "-HUP", str(pid), check=True)
    unit.machine.wait_until(lambda: unit.machine.journal(unit.name).count("reloaded ") > before, 20,
                            "SIGHUP does not reload")
    unit.machine.wait_until(lambda: unit.show("ActiveState") == "active", 20, "not active after SIGHUP")
    assert unit.pid() == pid


def stall(unit: Unit) -> None:
    """A daemon that no longer turns is killed by the watchdog and started again."""
    pid, restarts = unit.pid(), int(unit.show("NRestarts"))
    unit.machine.run("kill", "-STOP", str(pid), check=True)
    unit.wait_active_with_new_pid(pid)
    assert int(unit.show("NRestarts")) == restarts + 1
    assert "Watchdog timeout" in unit.machine.journal(unit.name)


def restart(unit: Unit) -> None:
    pid = unit.pid()
    unit.systemctl("restart")
    assert unit.show("ActiveState") == "active" and unit.pid() != pid
    assert "signal name=USR2" in unit.machine.journal(unit.name)   # hands over instead of draining


def stop(unit: Unit) -> None:
    unit.systemctl("stop")
    assert (unit.show("ActiveState"), unit.show("Result")) == ("inactive", "success")
    took = int(unit.show("InactiveEnterTimestampMonotonic")) - int(unit.show("ActiveExitTimestampMonotonic"))
    assert took < STOP_LIMIT * 1_000_000
    assert not unit.machine.path(f"/run/dmsc/{unit.name}").exists()


def test_testd_lives_its_life_under_systemd(machine: Machine) -> None:
    unit = Unit(machine, "testd")
    good = "node: {name: n-1}\nanswer: 7\nlog: {level: debug}\n"
    unit.write_config("node: {name: n-1}\nanswer: 42\n")
    start(unit)
    reload(unit, good, "node: {name: n-1}\nanswers: 7\n", r"testd\.yaml:2:1: answers: unknown key: did you mean 'answer'\?")
    stall(unit)
    restart(unit)
    stop(unit)


# ---- the real daemons: a domain of one gateway, one router, one SPA and one center on one machine -----

CONFIG = {
    "spad": "node: {name: spa-1}\ndomain: unit.dmsc\nlisten: 127.0.0.1:7410\nadvertise: 127.0.0.1:7410\n",
    "srd": "node: {name: sr-1}\nenrol: {spa: ['127.0.0.1:7410'], token_file: /etc/dmsc/srd.token}\n"
           "links:\n  - {name: to-sg-1, peer: sg-1, local: 127.0.0.1, remote: 127.0.0.2}\n",
    "sgd": "node: {name: sg-1}\nenrol: {spa: ['127.0.0.1:7410'], token_file: /etc/dmsc/sgd.token}\n"
           "links:\n  - {name: to-sr-1, peer: sr-1, local: 127.0.0.2, remote: 127.0.0.1}\n"
           "host_mode: {enabled: true}\n",
    "scscd": "node: {name: scsc-1}\nenrol: {spa: ['127.0.0.1:7410'], token_file: /etc/dmsc/scscd.token}\n"
             "listen: 127.0.0.1:7420\n",
}
CTL = {"srd": "srctl", "sgd": "sgctl", "spad": "spactl", "scscd": "scscctl"}
# What a good reload adds to the file, and how to see that it took effect: topic, and a word of its answer.
CHANGE = {
    "spad": ("log: {level: debug}\n", "status", '"log_level":"debug"'),
    "srd": ("  - {name: to-sr-9, peer: sr-9, local: 127.0.0.1:7501, remote: 127.0.0.9}\n", "neighbors", '"to-sr-9"'),
    "sgd": ("log: {level: debug}\n", "status", '"log_level":"debug"'),
    "scscd": ("thresholds:\n  - {prefix: B, delay: {trip: 70ms, clear: 60ms}}\n", "thresholds", '"prefix":"B"'),
}


@pytest.fixture(scope="module")
def domain(machine: Machine) -> Machine:
    """spad runs and everybody's join token lies where their configuration says."""
    missing = [daemon for daemon in UNITS if not (build_dir() / daemon).exists()]
    if missing:
        left_out(f"not built: {' '.join(missing)}")
    for daemon, text in CONFIG.items():
        machine.write(f"/etc/dmsc/{daemon}.yaml", text)
    machine.run("systemctl", "start", "spad", check=True)
    for name, role, daemon, more in [("sr-1", "sr", "srd", []), ("sg-1", "sg", "sgd", []),
                                     ("scsc-1", "scsc", "scscd", ["--address", "127.0.0.1:7420"])]:
        token = machine.run("spactl", "node", "add", name, "--role", role, *more, check=True).stdout
        machine.write(f"/etc/dmsc/{daemon}.token", token)
        machine.run("chown", f"dmsc-{daemon}", f"/etc/dmsc/{daemon}.token", check=True)
        machine.run("chmod", "0400", f"/etc/dmsc/{daemon}.token", check=True)
    return machine


@pytest.mark.limit(180)
@pytest.mark.parametrize("name", UNITS)
def test_a_daemon_lives_its_life_under_systemd(domain: Machine, name: str) -> None:
    unit = Unit(domain, name)
    addition, topic, word = CHANGE[name]
    start(unit)
    good = CONFIG[name] + addition
    reload(unit, good, good + "nonsense: 1\n", rf"{name}\.yaml:\d+:1: nonsense: unknown key")
    assert word in domain.run(CTL[name], "-o", "json", "show", topic, check=True).stdout
    stall(unit)
    restart(unit)
    assert word in domain.run(CTL[name], "-o", "json", "show", topic, check=True).stdout
    stop(unit)
    assert not re.search(r"descriptor-limit|EPERM", domain.journal(name))


def test_log_lines_carry_their_priority(machine: Machine) -> None:
    machine.write("/etc/dmsc/testd.yaml", "node: {name: n-1}\nanswer: 42\n")
    machine.run("systemctl", "start", "testd", check=True)
    machine.write("/etc/dmsc/testd.yaml", "node: {name: n-1}\nanswer: 4200\n")
    assert machine.run("systemctl", "reload", "testd").returncode != 0
    errors = machine.run("journalctl", "-u", "testd", "-p", "err", "-o", "cat", "-g", "reload-refused").stdout
    assert "answer: 4200 is not between 1 and 99" in errors and "<3>" not in errors
    machine.run("systemctl", "stop", "testd", check=True)


def test_a_bad_file_at_the_start_is_not_tried_for_ever(machine: Machine) -> None:
    machine.write("/etc/dmsc/testd.yaml", "node: {name: n-1}\nnonsense: 1\n")
    assert machine.run("systemctl", "start", "testd").returncode != 0
    assert machine.show("testd", "ActiveState") == "failed"
    assert machine.show("testd", "ExecMainStatus") == "2"
    assert "testd.yaml:2:1: nonsense: unknown key" in machine.journal("testd")
    machine.run("systemctl", "reset-failed", "testd", check=True)


def test_sockets_are_for_group_and_root(machine: Machine) -> None:
    machine.write("/etc/dmsc/testd.yaml", "node: {name: n-1}\n")
    machine.run("systemctl", "start", "testd", check=True)
    listed = machine.run("stat", "-c", "%a %U %G", "/run/dmsc/testd/inspect.sock", "/run/dmsc/testd/admin.sock").stdout
    assert listed.splitlines() == ["660 dmsc-testd dmsc", "600 dmsc-testd dmsc"]
    as_user = ["setpriv", "--reuid", "nobody", "--clear-groups"]
    look = ["srctl", "--run-dir", "/run/dmsc/testd", "status"]
    assert machine.run(*as_user, "--regid", "dmsc", *look).returncode == 0
    refused = machine.run(*as_user, "--regid", "nogroup", *look)
    assert refused.returncode == 4 and "be root or, to look only, in group dmsc" in refused.stderr
    machine.run("systemctl", "stop", "testd", check=True)


@pytest.mark.parametrize("name", UNITS)
def test_units_are_valid_and_hardened(name: str, tmp_path: Path) -> None:
    text = (ROOT / "systemd" / f"{name}.service.in").read_text()
    for variable, value in [("CMAKE_INSTALL_FULL_SBINDIR", "/usr/sbin"), ("CMAKE_INSTALL_FULL_BINDIR", "/usr/bin"),
                            ("DMSC_DOC_DIR", "/usr/share/doc/dmsc")]:
        text = text.replace(f"@{variable}@", value)
    assert "@" not in re.sub(r"@(system-service|privileged|resources)\b", "", text)
    unit = tmp_path / f"{name}.service"
    unit.write_text(text)
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-300:]
