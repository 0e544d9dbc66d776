"""Processes by pid and start time, so that a reused pid is never taken for ours."""
from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessId:
    pid: int
    start_time: int  # clock ticks since boot, field 22 of /proc/PID/stat

    def alive(self) -> bool:
        """Running, not a zombie, and the very process recorded."""
        found = _stat(self.pid)
        return found is not None and found[0] not in "ZX" and found[1] == self.start_time

    def send(self, number: int) -> bool:
        """Sends a signal if the process is still the one recorded."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive():
                return False
            signal.pidfd_send_signal(descriptor, number)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)


def _stat(pid: int) -> tuple[str, int] | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return fields[0], int(fields[19])


def identify(pid: int) -> ProcessId | None:
    found = _stat(pid)
    return ProcessId(pid, found[1]) if found else None


def record(path: Path, process: ProcessId) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(asdict(process)))
    temporary.replace(path)


def recorded(path: Path) -> ProcessId | None:
    try:
        return ProcessId(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def end(processes: list[ProcessId], patience: float) -> None:
    """SIGTERM to all, SIGKILL to those left after `patience` seconds; returns when all are gone."""
    for process in processes:
        process.send(signal.SIGTERM)
    deadline = time.monotonic() + patience
    while any(p.alive() for p in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in processes:
        process.send(signal.SIGKILL)
    while any(p.alive() for p in processes) and time.monotonic() < deadline + 10:
        time.sleep(0.02)
