"""Calls and announcements by name out of a pod, through dmsc-pod."""
from __future__ import annotations

import json
import re
import subprocess
import threading
from dataclasses import dataclass, field
from typing import Any

from .errors import LabError
from .lab import Lab
from .programs import program

STATUS = re.compile(r"^dmsc-pod: (\S+) (pending|granted|refused|unhealthy|withdrawn|invalid)(?:: (.*))?$")


@dataclass
class Reply:
    """What came of one call; `error` is empty if it was answered."""
    text: str = ""
    egress: str = ""
    instance: int = 0
    path: list[str] = field(default_factory=list)
    return_path: list[str] = field(default_factory=list)
    error: str = ""
    took_ms: float = 0.0


def call(lab: Lab, pod: str, name: str, text: str, *options: str) -> Reply:
    """One call, traced. `options` are dmsc-pod's own."""
    done = lab.exec(pod, program("dmsc-pod"), "call", name, text, "--trace", "-o", "json", *options, check=False)
    try:
        out: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        raise LabError(f"{pod}: call {name}: {done.stderr.strip() or done.stdout.strip()}") from error
    return Reply(out.get("reply", ""), out.get("egress", ""), out.get("instance", 0), out.get("path", []),
                 out.get("return_path", []), out.get("error", ""), out.get("took_ms", 0.0))


@dataclass
class Summary:
    """Of many calls. `twice`: replies that told of a second run of the same request."""
    sent: int
    ok: int
    failed: int
    twice: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    slowest_failure_ms: float
    by_egress: dict[str, int]       # answered calls by node
    failures: list[dict[str, Any]]  # the first 1,000: at_ms, took_ms, error

    @staticmethod
    def parse(text: str) -> "Summary":
        out = json.loads(text)
        by_egress: dict[str, int] = {}
        for key, count in (out["by_egress"] or {}).items():
            node = key.partition("/")[0]
            by_egress[node] = by_egress.get(node, 0) + count
        return Summary(out["sent"], out["ok"], out["failed"], out["twice"], out["p50_ms"], out["p99_ms"],
                       out["max_ms"], out["slowest_failure_ms"], by_egress, out["failures"])


class Load:
    """Calls at a steady rate in the background."""

    def __init__(self, lab: Lab, pod: str, argv: list[str]) -> None:
        self._what = f"{pod}: {' '.join(argv)}"
        self._process = lab.popen(pod, *argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def wait(self, timeout: float) -> Summary:
        """Until every call is answered or has failed."""
        try:
            out, error = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as expired:
            self._process.kill()
            self._process.communicate()
            raise LabError(f"{self._what}: no end after {timeout} s") from expired
        try:
            return Summary.parse(out)
        except (ValueError, KeyError) as wrong:
            raise LabError(f"{self._what}: {error.strip() or out.strip() or 'no summary'}") from wrong


def load(lab: Lab, pod: str, name: str, count: int, rate: float, deadline: str = "2s", *options: str) -> Load:
    return Load(lab, pod, [program("dmsc-pod"), "call", name, "load", "-n", str(count), "--rate", str(rate),
                           "--deadline", deadline, *options])


class Announcer:
    """Serves a prefix from a pod while it is open, and knows what the gateway says about it."""

    def __init__(self, lab: Lab, pod: str, prefix: str, *options: str) -> None:
        self.prefix, self.state, self.reason = prefix, "", ""
        self._process = lab.popen(pod, program("dmsc-pod"), "serve", "--prefix", prefix, *options,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line.rstrip())
            match = STATUS.match(line.rstrip())
            if match and match.group(1) == self.prefix:
                self.state, self.reason = match.group(2), match.group(3) or ""

    def wait_state(self, state: str, timeout: float = 5) -> "Announcer":
        try:
            Lab.wait(lambda: self.state == state, timeout, f"{self.prefix} to be {state}", every=0.02)
        except LabError as error:
            raise LabError(f"{error}; it is {self.state or 'unanswered'}: {self.reason or ' / '.join(self._lines)}") from None
        return self

    def __enter__(self) -> "Announcer":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._reader.join(5)


def announce(lab: Lab, pod: str, prefix: str, timeout: float = 5) -> Announcer:
    """Announces, waits for the first answer that is not pending, and withdraws; the answer is in the result."""
    with Announcer(lab, pod, prefix) as announcer:
        Lab.wait(lambda: announcer.state not in ("", "pending"), timeout, f"an answer about {prefix}", every=0.02)
        answer = (announcer.state, announcer.reason)
    announcer.state, announcer.reason = answer
    return announcer
