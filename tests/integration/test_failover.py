"""Fail-over under traffic of unmodified programs (R36): the router in use is killed, falls silent, or loses a link.
The figures are those of `tools/bench failover`; here they may be five times as long, for a busy machine."""
from __future__ import annotations

from typing import Iterator

import pytest
from dmscbench import failover
from dmsclab.lab import Lab

from conftest import lab_name

MARGIN = 5


@pytest.fixture(scope="module")
def triangle(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with failover.open_lab(lab_name(request)) as lab:
        yield lab


@pytest.mark.limit(180)
@pytest.mark.parametrize("case", list(failover.CASES))
def test_r36_traffic_goes_on_by_the_alternate(triangle, case):
    fail, repair, goal = failover.CASES[case]
    took = failover.measure(triangle, fail, repair)
    print(f"{case}: UDP {took['outage_ms']:.0f} ms ({took['lost']:.0f} probes lost), TCP {took['tcp_ms']:.0f} ms; "
          f"goal {goal} ms")
    assert took["outage_ms"] <= goal * MARGIN
    assert took["tcp_ms"] <= goal * MARGIN + 1000   # a lost segment waits for TCP's own timer
