"""What the measurements ask of a routing stack, and the processor time and memory of its processes."""
from __future__ import annotations

import json
import os
import re
import subprocess
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable

from dmsclab.errors import LabError

from net import Child, Net


@dataclass(frozen=True)
class Profile:
    """How fast a stack is told to be. `default` is what its operator gets without tuning."""
    name: str
    hello_s: int | None = None      # None: the stack's default
    hold_s: int | None = None
    liveness_ms: int | None = None  # BFD, or our keepalives; three lost are a loss
    tuned: bool = False             # the throttles of SPF and origination
    record: bool = False            # our nodes record the inputs of their engines


PROFILES = {profile.name: profile for profile in (
    Profile("default"),
    Profile("tuned", hello_s=1, hold_s=3, tuned=True),
    Profile("liveness50", hello_s=1, hold_s=3, liveness_ms=50, tuned=True),
    Profile("recorded", record=True),
)}


@dataclass
class Changes:
    """FIB changes anywhere after an instant, in seconds since it."""
    first: float | None
    last: float | None
    nodes: int


@dataclass
class Usage:
    cpu_s: float
    rss_kb: int
    pss_kb: int
    switches: int = 0               # voluntary context switches


def usage(children: Iterable[Child]) -> dict[str, Usage]:
    """By node, all its processes together."""
    out: dict[str, Usage] = {}
    for child in children:
        task = Path(f"/proc/{child.pid}/task")
        cpu_ns = sum(int((task / thread / "schedstat").read_text().split()[0]) for thread in os.listdir(task))
        counts = [re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / thread / "status").read_text(), re.M)
                  for thread in os.listdir(task)]
        switches = sum(int(count.group(1)) for count in counts if count)
        rollup = Path(f"/proc/{child.pid}/smaps_rollup").read_text()
        found = {key: int(re.search(rf"^{key}:\s+(\d+)", rollup, re.M).group(1)) for key in ("Rss", "Pss")}
        so_far = out.setdefault(child.node, Usage(0, 0, 0))
        so_far.cpu_s += cpu_ns / 1e9
        so_far.rss_kb += found["Rss"]
        so_far.pss_kb += found["Pss"]
        so_far.switches += switches
    return out


class Probe:
    """A steady stream of packets between the two corners; finish() tells what was lost."""

    def __init__(self, process: subprocess.Popen[str], stoppable: bool) -> None:
        self._process, self._stoppable = process, stoppable

    def finish(self, timeout: float) -> dict[str, Any]:
        if self._stoppable:
            self._process.terminate()
        text, _ = self._process.communicate(timeout=timeout)
        document = json.loads(text)
        if "error" in document:
            raise LabError(f"the probe stream failed: {document['error']}")
        return document.get("value", document)


class Stack(ABC):
    name: str
    profiles = ("default", "tuned", "liveness50")

    def __init__(self, net: Net, profile: Profile, folder: Path) -> None:
        self.net, self.profile, self.folder = net, profile, folder

    @abstractmethod
    def prepare(self) -> None:
        """Writes the configurations; nothing runs yet."""

    @abstractmethod
    def start(self) -> None:
        """Starts every daemon of every node, as fast as they start."""

    @abstractmethod
    def complete(self) -> float | None:
        """The instant (CLOCK_MONOTONIC) at which the last node had routes to all others; None: not yet."""

    @abstractmethod
    def changes(self, since: float) -> Changes:
        """What happened to FIBs after the instant `since`."""

    @abstractmethod
    def probe(self, seconds: int) -> Probe:
        """One packet a millisecond from net.source to net.target, over one flow."""

    def stop(self) -> None:
        self.net.kill_all()

    def wait_complete(self, timeout: float) -> float:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            at = self.complete()
            if at is not None:
                return at
            time.sleep(0.05)
            self.net.require_alive()
        raise LabError(f"{self.name}: routes not complete after {timeout:.0f} s")
