"""The lab's service manager: one process per lab that starts the programs, listens to their sd_notify
messages, reaps them and writes down their pids. It is asked over a Unix socket, one JSON object a line:

    {"do": "start", "spec": {...}}  {"do": "again", "name": N}  {"do": "signal", "name": N, "signal": 9}
    {"do": "status"}                {"do": "forget", "name": N}     {"do": "quit"}

Like systemd it tells a program where to report by NOTIFY_SOCKET and believes READY=1, STATUS=,
RELOADING=1 and STOPPING=1; unlike systemd it restarts nothing by itself. If it is killed, its children
live on, and `lab down` finds them by the recorded pids.
"""
from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .processes import identify, record
from .run import enter


@dataclass
class Spec:
    """A program of the lab."""
    name: str                       # sr-1, or pod-1/serve
    argv: list[str]
    namespace: str
    log: str
    binds: list[tuple[str, str]] = field(default_factory=list)  # mounts of its own: (file, what it hides)
    notify: bool = True             # it says READY=1; else it is ready once started
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"


@dataclass
class Process:
    spec: Spec
    state: str = "starting"         # starting, ready, reloading, stopping, exited
    pid: int = 0
    status: str = ""                # the last STATUS=
    exit: int | None = None         # as in subprocess: negative is a signal
    starts: int = 0
    started: float = 0.0            # CLOCK_MONOTONIC
    ready_after: float | None = None
    socket: socket.socket | None = None
    task: asyncio.Task[None] | None = None

    def public(self) -> dict[str, Any]:
        return {"name": self.spec.name, "state": self.state, "pid": self.pid, "status": self.status,
                "exit": self.exit, "starts": self.starts, "ready_after": self.ready_after,
                "log": self.spec.log}


class Supervisor:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, Process] = {}
        self.done = asyncio.Event()

    async def run(self) -> None:
        path = self.folder / "supervisor.sock"
        path.unlink(missing_ok=True)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.done.set)
        server = await asyncio.start_unix_server(self._client, path)
        await self.done.wait()
        server.close()
        path.unlink(missing_ok=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                try:
                    answer = self._answer(json.loads(line))
                except (ValueError, KeyError, TypeError, OSError) as error:
                    answer = {"error": f"{type(error).__name__}: {error}"}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        verb = request["do"]
        if verb == "status":
            return {"processes": [p.public() for p in self.processes.values()]}
        if verb == "quit":
            self.done.set()
            return {}
        if verb == "start":
            spec = Spec(**request["spec"])
            self.processes.setdefault(spec.name, Process(spec)).spec = spec
            return self._start(self.processes[spec.name])
        process = self.processes.get(request["name"])
        if process is None:
            return {"error": f"no process '{request['name']}' (there are: {', '.join(self.processes)})"}
        if verb == "again":
            return self._start(process)
        if verb == "signal":
            if process.pid == 0:
                return {"error": f"{process.spec.name} is not running"}
            os.kill(process.pid, request["signal"])  # our child, not yet reaped: the pid is its own
            return {}
        if verb == "forget":
            if process.pid:
                return {"error": f"{process.spec.name} is still running"}
            del self.processes[process.spec.name]
            return {}
        return {"error": f"unknown request '{verb}'"}

    def _start(self, process: Process) -> dict[str, Any]:
        if process.pid:
            return {"error": f"{process.spec.name} is running already, pid {process.pid}"}
        spec = process.spec
        environment = {**os.environ, **spec.environment}
        environment.pop("NOTIFY_SOCKET", None)
        if spec.notify:
            environment["NOTIFY_SOCKET"] = str(self._listen(process))
        process.starts += 1
        process.exit, process.status, process.ready_after = None, "", None
        process.state, process.started = "starting" if spec.notify else "ready", time.monotonic()
        Path(spec.log).parent.mkdir(parents=True, exist_ok=True)
        with open(spec.log, "ab") as log:
            child = subprocess.Popen(enter(spec.namespace, spec.argv, spec.binds), stdin=subprocess.DEVNULL,
                                     stdout=log, stderr=log, cwd=spec.folder, env=environment,
                                     start_new_session=True)
        process.pid = child.pid
        known = identify(child.pid)
        if known:
            record(self._pid_file(spec.name), known)
        process.task = asyncio.get_running_loop().create_task(self._reap(process, child))
        return {"pid": child.pid}

    def _pid_file(self, name: str) -> Path:
        return self.folder / "pids" / f"{name.replace('/', '.')}.json"

    async def _reap(self, process: Process, child: subprocess.Popen[bytes]) -> None:
        descriptor = os.pidfd_open(child.pid)
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(descriptor, gone.set)
        await gone.wait()
        loop.remove_reader(descriptor)
        os.close(descriptor)
        self._hear(process)
        process.exit = child.wait()
        process.state, process.pid = "exited", 0
        self._pid_file(process.spec.name).unlink(missing_ok=True)
        self._deafen(process)

    def _listen(self, process: Process) -> Path:
        self._deafen(process)
        path = self.folder / "notify" / process.spec.name.replace("/", ".")
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        process.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        process.socket.bind(str(path))
        asyncio.get_running_loop().add_reader(process.socket.fileno(), self._hear, process)
        return path

    def _deafen(self, process: Process) -> None:
        if process.socket:
            asyncio.get_running_loop().remove_reader(process.socket.fileno())
            Path(process.socket.getsockname()).unlink(missing_ok=True)
            process.socket.close()
            process.socket = None

    def _hear(self, process: Process) -> None:
        """Everything a program has said on its NOTIFY_SOCKET."""
        while process.socket:
            try:
                lines = process.socket.recv(8192).decode(errors="replace").splitlines()
            except BlockingIOError:
                return
            for key, _, value in (line.partition("=") for line in lines):
                if key == "READY" and value == "1":
                    process.state = "ready"
                    if process.ready_after is None:
                        process.ready_after = round(time.monotonic() - process.started, 3)
                elif key == "STATUS":
                    process.status = value
                elif key in ("RELOADING", "STOPPING") and value == "1":
                    process.state = key.lower()


def start(folder: Path) -> None:
    """Starts the supervisor of a lab in the background, its output in the lab's log folder."""
    (folder / "log").mkdir(parents=True, exist_ok=True)
    tools = str(Path(__file__).resolve().parents[1])
    with open(folder / "log" / "supervisor.log", "ab") as log:
        child = subprocess.Popen([sys.executable, "-m", "dmsclab.supervisor", str(folder)], cwd="/",
                                 env={**os.environ, "PYTHONPATH": tools, "PYTHONDONTWRITEBYTECODE": "1"},
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    known = identify(child.pid)
    if known:
        record(folder / "pids" / "supervisor.json", known)


class Client:
    """Asks the supervisor of a lab. Raises OSError when it is not there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, **request: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(str(self._path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile() as answers:
                line = answers.readline()
        if not line:
            raise ConnectionResetError("the lab's supervisor closed the connection")
        return json.loads(line)

    def start(self, spec: Spec) -> dict[str, Any]:
        return self.ask(do="start", spec=asdict(spec))

    def status(self) -> dict[str, dict[str, Any]]:
        return {p["name"]: p for p in self.ask(do="status")["processes"]}


if __name__ == "__main__":
    asyncio.run(Supervisor(Path(sys.argv[1])).run())
