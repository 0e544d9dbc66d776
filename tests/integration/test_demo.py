"""tools/demo and tools/setup say what is missing, by name, before they change anything."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT

DEMO = str(ROOT / "tools" / "demo")


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def in_other_mounts(script: str) -> subprocess.CompletedProcess[str]:
    """Runs a shell script in a mount namespace of its own."""
    return run("unshare", "--mount", "sh", "-ec", script)


def test_this_machine_can_run_the_demo():
    done = run(DEMO, "--check")
    assert done.returncode == 0, done.stderr


def test_missing_root_is_named():
    done = run("setpriv", "--reuid=65534", "--clear-groups", "bash", DEMO, "--check")
    assert done.returncode == 1 and "- root:" in done.stderr


def test_another_release_is_named(tmp_path):
    other = tmp_path / "os-release"
    other.write_text('ID=fedora\nVERSION_ID=41\nPRETTY_NAME="Fedora 41"\n')
    target = os.path.realpath("/etc/os-release")
    done = in_other_mounts(f"mount --bind {other} {target}; exec {DEMO} --check")
    assert done.returncode == 1 and "- release: this is Fedora 41" in done.stderr
    done = in_other_mounts(f"mount --bind {other} {target}; exec {ROOT}/tools/setup --check")
    assert done.returncode == 1 and "Fedora 41" in done.stderr


def test_missing_tun_is_named():
    done = in_other_mounts(f"mount -t tmpfs -o ro,nodev none /dev/net; exec {DEMO} --check")
    assert done.returncode == 1 and "- TUN:" in done.stderr


def test_missing_namespaces_are_named():
    done = run("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all", "bash", DEMO, "--check")
    assert done.returncode == 1 and "- namespaces:" in done.stderr


def test_too_little_memory_is_named(tmp_path):
    little = tmp_path / "meminfo"
    little.write_text("MemTotal: 900000 kB\nMemAvailable: 512000 kB\n")
    done = in_other_mounts(f"mount --bind {little} /proc/meminfo; exec {DEMO} --check")
    assert done.returncode == 1 and "- memory: 500 MB free" in done.stderr


def test_a_missing_package_is_named(tmp_path):
    copy = tmp_path / "tools"
    copy.mkdir()
    for name in ("setup", "lib.sh"):
        (copy / name).write_bytes((ROOT / "tools" / name).read_bytes())
    (copy / "setup").chmod(0o755)
    (copy / "packages.txt").write_text("bash build\nno-such-package build\n")
    done = run(str(copy / "setup"), "--build", "--check")
    assert done.returncode == 1 and "missing packages: no-such-package" in done.stdout


@pytest.mark.parametrize("words, error", [(["--bogus"], "unknown option"), (["--shell"], "which one")])
def test_wrong_options_are_named(words, error):
    done = run(DEMO, *words)
    assert done.returncode == 1 and error in done.stderr


def traces(name: str) -> list[str]:
    """Everything a demo of this name could leave: namespaces, links, processes, files."""
    found = [p.name for p in Path("/run/netns").glob(f"{name}-*")] if Path("/run/netns").exists() else []
    found += [str(p) for folder in ("/run", "/run/dmsc-lab", "/etc/netns", "/tmp", "/var/tmp", "/etc")
              if Path(folder).exists() for p in Path(folder).iterdir() if name in p.name]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"/dmsc-lab/{name}/" in (process / "cmdline").read_text().replace("\0", " "):
                found.append(f"process {process.name}")
        except OSError:
            pass
    found += [line for line in run("ip", "-br", "link").stdout.splitlines() if "dmsc" in line or name in line]
    return found


@pytest.mark.limit(900)
def test_the_demo_runs_twice_and_stops_without_a_trace():
    name = f"d{os.getpid()}"
    environment = {**os.environ, "DMSC_DEMO_NAME": name, "JOBS": "1"}

    def demo(*options: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([DEMO, *options], env=environment, input=text, capture_output=True, text=True,
                              timeout=400, check=False)
    before = Path("/etc/resolv.conf").read_bytes() if Path("/etc/resolv.conf").exists() else b""
    try:
        for _ in range(2):
            done = demo()
            assert done.returncode == 0, done.stdout + done.stderr
            assert "hello from B/4" in done.stdout
            assert "path in the packet        sg-1 -> sr-2 -> sg-4" in done.stdout
            assert "took a shortest path of the LSDB" in done.stdout
            assert "pod-4 answers http://4.b.svc.dmsc:8080/" in done.stdout
        shell = demo("--shell", "pod-1", text="dmsc-pod call B/4 from-the-shell; ip -br address\n")
        assert "from-the-shell" in shell.stdout and "100.64.1.2" in shell.stdout
        assert traces(name)
    finally:
        assert demo("--stop").returncode == 0
    assert traces(name) == []
    assert (Path("/etc/resolv.conf").read_bytes() if before else b"") == before
    assert "not running" in demo("--stop").stdout
