"""The sections of the test command, in the order they run."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

from . import results, simulator
from .results import Outcome

ROOT = Path(__file__).resolve().parents[2]
RELEASE = ROOT / "build" / "release"
RESULTS = ROOT / "build" / "results"


@dataclass
class Options:
    fast: bool = False
    full: bool = False

    def pick(self, fast: int, normal: int, full: int) -> int:
        return fast if self.fast else full if self.full else normal


@dataclass
class Section:
    name: str
    what: str
    run: Callable[[Options], Outcome]
    fast: bool = False              # part of --fast
    full_only: bool = False


def command(argv: Sequence[str | Path], timeout: float) -> str:
    """Runs with its output visible; an error text if it fails, else empty."""
    words = [str(a) for a in argv]
    sys.stdout.flush()
    try:
        code = subprocess.run(words, cwd=ROOT, timeout=timeout, check=False).returncode
    except subprocess.TimeoutExpired:
        return f"{words[0]}: no end after {timeout:.0f} s"
    except OSError as error:
        return f"{words[0]}: {error.strerror}"
    return f"{' '.join(words[:4])}: exit {code}" if code else ""


def build(preset: str, *targets: str) -> str:
    return command([ROOT / "tools" / "build", preset, *targets], 3600)


def section_build(_: Options) -> Outcome:
    return Outcome(error=build("release"))


TSAN_OPTIONS = f"suppressions={ROOT / 'tests' / 'tsan.supp'} ignore_noninstrumented_modules=1"


def _ctest(folder: Path, options: Options) -> Outcome:
    """Every unit program of a build, each a CTest test that leaves a JUnit file."""
    written = folder / "results"
    shutil.rmtree(written, ignore_errors=True)
    jobs = str(os.cpu_count() or 2)
    error = command(["ctest", "--test-dir", folder, "-j", jobs, "--output-on-failure", "--timeout",
                     str(options.pick(120, 300, 1200))], 3600)
    out = Outcome()
    for path in sorted(written.glob("*.xml")):
        out.add(results.read(path))
    if error and not out.bad:
        out.error = error
    return out


def section_unit(options: Options) -> Outcome:
    return _ctest(RELEASE, options)


def _pytest(what: Sequence[str], name: str, timeout: float) -> Outcome:
    path = RESULTS / f"{name}.xml"
    path.unlink(missing_ok=True)
    error = command(["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={path}",
                     *what], timeout)
    out = results.read(path)
    if error and not out.bad:
        out.error = error
    return out


def section_rules(_: Options) -> Outcome:
    return _pytest(["tests/unit"], "rules", 600)


def section_sim(options: Options) -> Outcome:
    """Random topologies and faults under virtual time; a failing seed prints its replay command."""
    if not any((ROOT / "tests" / "sim").glob("*.cpp")):
        return Outcome(skipped=1)
    path = RESULTS / "sim.xml"
    path.unlink(missing_ok=True)
    return simulator.run(RELEASE / "tests" / "sim", options.pick(20, 200, 2000), path,
                         simulator.FAST_CASES if options.fast else simulator.CASES)


def section_fuzz(options: Options) -> Outcome:
    if not any((ROOT / "tests" / "fuzz").glob("*.cpp")):
        return Outcome(skipped=1)
    path = RESULTS / "fuzz.xml"
    path.unlink(missing_ok=True)
    error = command([ROOT / "tests" / "fuzz" / "run", "--seconds", str(options.pick(1, 5, 300)), "--junit", path],
                    options.pick(900, 1200, 14400))
    out = results.read(path) if path.exists() else Outcome()
    if error and not out.bad:
        out.error = error
    return out


def _sanitizer(preset: str, options: Options) -> Outcome:
    error = build(preset)
    return Outcome(error=error) if error else _ctest(ROOT / "build" / preset, options)


def section_asan(options: Options) -> Outcome:
    """The unit tests and a few seeds of the simulator; with --full the rooms with sockets and the daemons too."""
    preset = "asan" if options.full else "asan-pure"
    out = _sanitizer(preset, options)
    if not out.error:
        folder = ROOT / "build" / preset
        out.add(simulator.run(folder / "tests" / "sim", options.pick(2, 4, 40), folder / "sim.xml", {}, ()))
    if not out.error and options.full:
        out.add(_sanitized_lab(folder))
    return out


def _sanitized_lab(build_folder: Path) -> Outcome:
    """Figure 2's domain of daemons with the sanitizers in them; what they report counts, not only what fails."""
    reports = build_folder / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir()
    settings = {"DMSC_BUILD": str(build_folder), "ASAN_OPTIONS": f"log_path={reports}/asan",
                "UBSAN_OPTIONS": f"log_path={reports}/ubsan:print_stacktrace=1"}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    out = _pytest(["tests/integration/test_fig2.py", "tests/integration/test_edge.py"], "asan-lab", 1200)
    for name, value in before.items():
        os.environ.pop(name)
        if value is not None:
            os.environ[name] = value
    found = sorted(path.name for path in reports.iterdir())
    return out if not found else Outcome(out.passed, out.failed + len(found), out.skipped,
                                         out.names + [f"report of a sanitizer: {reports / name}" for name in found])


def section_tsan(options: Options) -> Outcome:
    os.environ["TSAN_OPTIONS"] = TSAN_OPTIONS
    return _sanitizer("tsan", options)


MOST_AGAIN = 5                      # more failures than this are no accident


def section_lab(options: Options) -> Outcome:
    out = _pytest(["tests/integration"], "integration", options.pick(900, 1500, 3600))
    if options.full or out.error or not 0 < out.failed <= MOST_AGAIN:
        return out
    # Real processes on a shared machine: what failed once gets one more run, alone. It is told as flaky.
    failed = results.failed_pytest_ids(RESULTS / "integration.xml")
    again = _pytest(failed, "integration-again", 600)
    if again.bad:
        return out
    return Outcome(out.passed + out.failed, 0, out.skipped, flaky=out.names)


def section_packages(_: Options) -> Outcome:
    return _pytest(["tests/packages"], "packages", 1800)


SECTIONS = [
    Section("build", "release build", section_build, fast=True),
    Section("unit", "unit tests", section_unit, fast=True),
    Section("rules", "layout, tools and documents", section_rules, fast=True),
    Section("sim", "network simulator", section_sim, fast=True),
    Section("lab", "the real daemons in network namespaces", section_lab),
    Section("asan", "address and undefined-behaviour sanitizers", section_asan),
    Section("tsan", "thread sanitizer", section_tsan, full_only=True),
    Section("packages", "the Debian package on a bare machine", section_packages, full_only=True),
    Section("fuzz", "every fuzz target for a while", section_fuzz),
]
