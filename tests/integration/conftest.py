"""The lab as pytest sees it. One lab per module, named after the module, removed at its end."""
from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import Iterator

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOPOLOGIES = Path(__file__).resolve().parent / "topologies"
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from dmsclab import accounts  # noqa: E402
from dmsclab.lab import BASE, Lab  # noqa: E402
from dmsclab.programs import build_dir  # noqa: E402


def left_out(reason: str) -> None:
    """Skips a test that has nothing to run on; a failure in the test command, which builds everything."""
    if os.environ.get("DMSC_TEST_COMPLETE") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The lab needs root and the built programs: say so once instead of failing everywhere."""
    reason = None
    if os.geteuid() != 0:
        reason = "needs root"
    elif not (build_dir() / "tools" / "linkem").exists():
        reason = f"nothing built in {build_dir()}"
    if reason and os.environ.get("DMSC_TEST_COMPLETE") == "1":
        raise pytest.UsageError(reason)
    for item in items if reason else []:
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Bounds every test with its fixtures in time: `@pytest.mark.limit(seconds)`, 120 s unless given."""
    mark = item.get_closest_marker("limit")
    seconds = mark.args[0] if mark else 120

    def too_long(*_: object) -> None:
        raise TimeoutError(f"{item.name}: no end after {seconds} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keeps the logs of this run's labs as they are when a test fails: build/results/logs/TEST."""
    outcome = yield
    if outcome.get_result().failed:
        for state in BASE.glob(f"t{os.getpid()}-*"):
            kept = ROOT / "build" / "results" / "logs" / re.sub(r"[^\w.-]+", "_", item.name) / state.name
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(state / "log", kept)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "limit(seconds): the longest this test may take")


@pytest.fixture(autouse=True)
def packets_add_up(request: pytest.FixtureRequest) -> Iterator[None]:
    """D15, after every test: at every live node of its labs, packets in are out, delivered, ended or dropped."""
    yield
    for lab in [value for value in request.node.funcargs.values() if isinstance(value, Lab)]:
        if lab.plan.name in Lab.names():  # a test may have taken it down
            accounts.check(lab)


def lab_name(request: pytest.FixtureRequest) -> str:
    """Distinct for every module and test run, so that runs may go side by side."""
    return f"t{os.getpid()}-{request.module.__name__.removeprefix('test_').replace('_', '-')[:8]}"


@pytest.fixture(scope="module")
def line(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with Lab.up(TOPOLOGIES / "line.yaml", name=lab_name(request)) as lab:
        yield lab


@pytest.fixture(scope="module")
def fig2(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The domain of Figure 2, up and converged."""
    with Lab.up(ROOT / "config" / "fig2" / "lab.yaml", name=lab_name(request)) as lab:
        yield lab
