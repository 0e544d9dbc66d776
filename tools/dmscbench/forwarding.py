"""One real worker with a real FIB between real sockets, beside minimal forwarders of the same run: the same source
sends the same packets to either, the same sink takes them. Figures are packets per second of the forwarder's own
processor time, so that a busy machine does not count against either; the programs are in tests/bench/forwarding."""
from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Iterator

from dmsclab.errors import LabError
from dmsclab.programs import build_dir

from . import baselines
from .figures import Figure

SINK_PORT, IN_PORT = 7800, 7402
SECONDS, REPEATS = 1.0, 3
MILLION = 1_000_000
NFD_NS = 36_000   # what a packet costs NFD; ours may cost a fifteenth
DECISIONS = ("label", "egress", "name")


def _program(name: str) -> str:
    path = build_dir() / "tests" / "bench" / "forwarding" / f"forwarding_{name}"
    if not path.exists():
        raise LabError(f"{path} is not built: run tools/build release forwarding_{name}")
    return str(path)


@contextmanager
def _namespace() -> Iterator[list[str]]:
    """A network namespace of our own with nothing but loopback; the words to run something in it."""
    name = f"bench-forwarding-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield ["ip", "netns", "exec", name]
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


def _end(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGTERM)
    try:
        return process.communicate(timeout=20)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise LabError(f"{process.args}: did not end") from None


@dataclass
class Load:
    """What is sent, and what the worker knows."""
    size: int
    decision: str = "egress"
    hops: int = 1
    prefixes: int = 1
    source: list[str] = field(default_factory=list)   # further words for the source
    seconds: float = SECONDS

    def words(self) -> list[str]:
        return [str(self.size), str(self.seconds), self.decision, str(self.hops), str(self.prefixes), *self.source]


class Bench:
    def __init__(self, inside: list[str]) -> None:
        self.inside = inside

    def _cpu_per_packet(self, forwarder: list[str], load: Load, source: list[str]) -> float:
        """Nanoseconds of the forwarder's processor time for a packet."""
        sink = subprocess.Popen(self.inside + [baselines.program("udpgen"), "sink", f"0.0.0.0:{SINK_PORT}",
                                               "3600", "0"], stdout=subprocess.DEVNULL, text=True)
        process = subprocess.Popen(self.inside + forwarder, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            if forwarder[0] == _program("worker"):
                if process.stdout.readline().strip() != "ready":
                    raise LabError(f"{forwarder}: not ready")
            else:
                time.sleep(0.2)
            subprocess.run(self.inside + [_program("source"), *load.words(), *source, "core=0"], check=True,
                           stdout=subprocess.DEVNULL)
        finally:
            text = _end(process)
            sink.kill()
            sink.wait()
        if baselines.field(text, "packets") < 1000:
            raise LabError(f"{' '.join(forwarder)} forwarded next to nothing: {text.strip()}")
        return baselines.field(text, "ns_per_packet")

    def worker(self, load: Load, *words: str) -> float:
        command = [_program("worker"), str(load.hops), str(load.prefixes), "core=1", *words]
        return self._cpu_per_packet(command, load, ["no-auth"] if "no-auth" in words else [])

    def minimal(self, mode: str, load: Load) -> float:
        command = [baselines.program("udpfwd"), mode, f"127.0.0.1:{IN_PORT}", f"127.0.1.1:{SINK_PORT}", "1"]
        return self._cpu_per_packet(command, load, ["no-auth"])

    def figure(self, case: str, load: Load, words: list[str], beside: str, goal: float | None) -> Figure:
        """Median of repetitions, the two by turns."""
        ours, theirs = [], []
        for _ in range(REPEATS):
            ours.append(self.worker(load, *words))
            theirs.append(self.minimal(beside, load))
        return _figure(f"{case}, beside {beside}", median(ours), median(theirs), goal)


def _figure(case: str, ours: float, theirs: float | None, goal: float | None) -> Figure:
    return Figure("forwarding", case, 1e9 / ours, "packets/s", 1e9 / theirs if theirs else None, goal)


def single() -> list[Figure]:
    """Packets that arrive one by one (issue 4, point 1): UDP_GRO is off, as it is for joinmm."""
    out = []
    with _namespace() as inside:
        bench = Bench(inside)
        for size in (64, 256, 1200):
            for decision in DECISIONS:
                load = Load(size, decision)
                what = f"{size} B, {decision}"
                out.append(bench.figure(f"{what}, no hop authentication", load, ["no-gro", "no-auth"], "joinmm", 0.90))
                out.append(bench.figure(what, load, ["no-gro"], "joinmm", 0.75))
                many = Load(size, decision, hops=16, prefixes=16)
                out.append(bench.figure(f"{what}, 16 next hops", many, ["no-gro"], "mmsg", 1.9))
        out.append(bench.figure("64 B, egress, 16 next hops", Load(64, "egress", 16, 16), ["no-gro"], "fan16", None))
        cost = median(bench.worker(Load(64, "name"), "no-gro") for _ in range(REPEATS))
        out.append(Figure("forwarding", "64 B, name, processor time a packet", cost, "ns", smaller_is_better=True,
                          limit=NFD_NS / 15))
    return out


def names() -> list[Figure]:
    """A million prefixes, egress 0 (point 2). Zipf: beside our own one-prefix rate."""
    with _namespace() as inside:
        bench = Bench(inside)
        one, zipf, even, mmsg = [], [], [], []
        for _ in range(REPEATS):
            one.append(bench.worker(Load(256, "name"), "no-gro"))
            zipf.append(bench.worker(Load(256, "name", prefixes=MILLION, source=["zipf"]), "no-gro"))
            even.append(bench.worker(Load(256, "name", prefixes=MILLION), "no-gro"))
            mmsg.append(bench.minimal("mmsg", Load(256)))
    return [_figure("256 B, a million names by Zipf, beside one prefix", median(zipf), median(one), 0.90),
            _figure("256 B, a million names evenly, beside mmsg", median(even), median(mmsg), 0.90),
            Figure("forwarding", "what a name out of a million costs more than one", median(even) - median(one), "ns",
                   smaller_is_better=True, limit=250.0)]


def trains() -> list[Figure]:
    """Whole trains of 1200 B, in and out (point 3)."""
    out = []
    with _namespace() as inside:
        bench = Bench(inside)
        for decision in DECISIONS:
            load = Load(1200, decision, source=["flow-per-train"])
            beside = bench.figure(f"1200 B trains, {decision}", load, [], "gsomm", None)
            out += [beside, Figure("forwarding", f"1200 B trains, {decision}", beside.value * 1200 * 8 / 1e9,
                                   "Gbit/s of a core", limit=15.0)]
        out.append(_two_workers(bench))
    return out


def _two_workers(bench: Bench) -> Figure:
    """Each worker has a core of its own where the source, too, has one. On fewer cores both share one, and what the
    scheduler takes to change between them counts as theirs."""
    apart = (os.cpu_count() or 1) > 2
    one, two = [], []
    for _ in range(2 * REPEATS + 1):
        one.append(bench.worker(Load(1200, source=["flow-per-train"])))
        both = Load(1200, source=["flow-per-train", "workers=2"])
        two.append(bench.worker(both, "workers=2", f"cores={2 if apart else 1}"))
    share = median(b / a for a, b in zip(one, two))  # of runs one right after the other
    case = f"1200 B trains, two workers {'with a core each' if apart else 'on one core'}, processor time a packet"
    return Figure("forwarding", f"{case}, beside one worker", share * median(one), "ns", median(one), 1 / 1.1,
                  smaller_is_better=True)
