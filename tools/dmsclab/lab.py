"""A running lab, by hand (tools/lab) and from pytest.

    with Lab.up("config/fig2/lab.yaml", name="t1") as lab:
        lab.exec("pod-1", "dmsc-pod", "call", "B/4", "hello")
        lab.kill("sr-1")
"""
from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Sequence

import yaml

from . import configs, network, supervisor
from .emulator import Emulator
from .errors import LabError
from .pattern import document, is_pattern
from .plan import CONTROLLERS, DAEMONS, Plan
from .processes import end, recorded
from .programs import build_dir, environment, pod_specs, program
from .run import enter, run
from .topology import load

BASE = Path(os.environ.get("DMSC_LAB_DIR", "/run/dmsc-lab"))
SOCKET_PATH_ROOM = 60               # for "/NODE/run/message.sock" below the state folder


def kept_logs(name: str) -> Path:
    """Where the logs of a lab that did not come up are, until it is started or taken down again."""
    return Path("/var/tmp") / f"dmsc-lab-{name}-failed"


class Lab:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.supervisor = supervisor.Client(plan.supervisor_socket)
        self.emulator = Emulator(plan)

    # --- life -------------------------------------------------------------------------------------

    @classmethod
    def up(cls, file: str | Path, name: str | None = None, state: Path | None = None,
           only: Sequence[str] | None = None, tell: Callable[[str], None] = lambda text: None) -> "Lab":
        """Brings a topology up and returns when every program of it is ready. What runs under the same
        name is taken down first. `only`: of the nodes and pods, start just these."""
        topology = load(file)
        name = name or topology.name
        folder = state or BASE / name
        if len(str(folder)) > 107 - SOCKET_PATH_ROOM + 16:
            raise LabError(f"{folder}: too long for the Unix sockets below it")
        cls.down(name, folder)
        folder.mkdir(parents=True, mode=0o755)
        if is_pattern(str(file)):
            (folder / "lab.yaml").write_text(yaml.safe_dump(document(str(file)), sort_keys=False))
        else:
            shutil.copyfile(file, folder / "lab.yaml")
            file = Path(file).resolve()
        (folder / "lab.json").write_text(json.dumps({"name": name, "file": str(file)}))
        lab = cls(Plan(topology, name, folder))
        try:
            tell("network: namespaces, links, management bridge")
            network.create(lab.plan)
            configs.write_all(lab.plan)
            supervisor.start(folder)
            lab._wait_supervisor()
            lab._start_programs(only, tell)
        except BaseException:
            logs = lab._copy_logs()
            cls.down(name, folder)
            tell(f"it did not come up; its logs are kept in {logs.replace(kept_logs(name))}")
            raise
        return lab

    @classmethod
    def attach(cls, name: str, state: Path | None = None) -> "Lab":
        """A lab that is up."""
        folder = state or BASE / name
        if not (folder / "lab.json").exists():
            raise LabError(f"no lab '{name}' (there are: {', '.join(cls.names()) or 'none'})")
        return cls(Plan(load(folder / "lab.yaml"), name, folder))

    @staticmethod
    def names() -> list[str]:
        return sorted(p.parent.name for p in BASE.glob("*/lab.json"))

    @classmethod
    def down(cls, name: str, state: Path | None = None) -> bool:
        """Ends every program, removes every namespace and the state folder. Needs nothing but what the
        state folder records, so it also cleans up after a crash. False if there was no such lab."""
        folder = state or BASE / name
        shutil.rmtree(kept_logs(name), ignore_errors=True)
        if not folder.exists():
            return False
        with open(folder / "down.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            pids = [recorded(path) for path in sorted((folder / "pids").glob("*.json"))]
            end([process for process in pids if process is not None], patience=3)
            network.remove(folder)
            shutil.rmtree(folder, ignore_errors=False)
        try:
            folder.parent.rmdir()
        except OSError:
            pass                    # other labs are there
        return True

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *_: object) -> None:
        self.down(self.plan.name, self.plan.state)

    def _copy_logs(self) -> Path:
        """Of a start that failed: out of the state folder, which goes."""
        copy = kept_logs(self.plan.name).with_suffix(".new")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.plan.state / "log", copy) if (self.plan.state / "log").exists() else copy.mkdir()
        return copy

    def _wait_supervisor(self) -> None:
        def answers() -> bool:
            try:
                self.supervisor.status()
                return True
            except OSError:         # not bound yet, or bound and not listening yet
                return False
        self.wait(answers, 10, "the supervisor to listen")

    # --- programs ---------------------------------------------------------------------------------

    def _start_programs(self, only: Sequence[str] | None, tell: Callable[[str], None]) -> None:
        plan = self.plan
        for name in only or []:
            if name not in plan.topology.nodes and name not in plan.topology.pods:
                raise LabError(f"only: no node or pod '{name}'")
        wanted = [n for n in plan.topology.nodes.values()
                  if n.role in DAEMONS and (only is None or n.name in only)]
        if any(wire.link.emulate for wire in plan.wires):
            self._launch([self.emulator.spec()])
        writers = [n for n in wanted if n.writer]
        for group in (writers, [n for n in wanted if n not in writers]):
            if group:
                tell("starting " + ", ".join(n.name for n in group))
                self._launch([self._daemon(n.name) for n in group])
        pods = [p for p in plan.topology.pods.values() if only is None or p.name in only]
        specs = [spec for pod in pods for spec in pod_specs(plan, pod)]
        if specs:
            tell("starting " + ", ".join(spec.name for spec in specs))
            self._launch(specs)

    def _daemon(self, node: str) -> supervisor.Spec:
        plan = self.plan
        daemon = DAEMONS[plan.topology.nodes[node].role]
        return supervisor.Spec(node, [program(daemon), "--config", str(plan.config_file(node))],
                               plan.namespace(node), str(plan.log_file(node)), configs.binds(plan, node))

    def _launch(self, specs: list[supervisor.Spec], timeout: float = 30) -> None:
        for spec in specs:
            self._told(self.supervisor.start(spec), spec.name)
        for spec in specs:
            self.wait_ready(spec.name, timeout)

    @staticmethod
    def _told(answer: dict[str, Any], name: str) -> None:
        if "error" in answer:
            raise LabError(f"{name}: {answer['error']}")

    def processes(self) -> dict[str, dict[str, Any]]:
        """What the supervisor knows, by name."""
        try:
            return self.supervisor.status()
        except OSError as error:
            raise LabError(f"the supervisor of lab '{self.plan.name}' does not answer: {error}; "
                           f"`tools/lab down {self.plan.name}` cleans up") from error

    def programs_of(self, name: str) -> list[str]:
        """A program's own name, or all programs of the node or pod `name`."""
        found = [p for p in self.processes() if p == name or p.startswith(name + "/")]
        if not found:
            raise LabError(f"no program '{name}' in lab '{self.plan.name}'")
        return found

    def wait_ready(self, name: str, timeout: float = 30) -> dict[str, Any]:
        """Until a program has said READY=1; LabError with the end of its log if it exits instead."""
        deadline = time.monotonic() + timeout
        while True:
            process = self.processes()[name]
            if process["state"] in ("ready", "reloading"):
                return process
            if process["state"] == "exited" or time.monotonic() > deadline:
                what = f"exited ({process['exit']})" if process["state"] == "exited" else \
                    f"not ready after {timeout} s: {process['status'] or 'no status'}"
                raise LabError(f"{name}: {what}\n{self.log_tail(name, 15)}")
            time.sleep(0.02)

    def log_tail(self, name: str, lines: int = 40) -> str:
        try:
            return "\n".join(self.plan.log_file(name).read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"

    def send(self, name: str, number: int = signal.SIGKILL) -> None:
        for each in self.programs_of(name):
            if self.processes()[each]["pid"]:
                self._told(self.supervisor.ask(do="signal", name=each, signal=int(number)), each)

    def wait_exit(self, name: str, timeout: float = 15) -> None:
        for each in self.programs_of(name):
            self.wait(lambda: not self.processes()[each]["pid"], timeout, f"{each} to exit")

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Signals and waits for the end: SIGKILL is a crash, SIGTERM a drain."""
        self.send(name, number)
        self.wait_exit(name)

    def start(self, name: str, timeout: float = 30) -> None:
        """Starts again what has ended (all programs of a node or pod), until ready."""
        again = [each for each in self.programs_of(name) if not self.processes()[each]["pid"]]
        for each in again:
            self._told(self.supervisor.ask(do="again", name=each), each)
        for each in again:
            self.wait_ready(each, timeout)

    def restart(self, name: str, number: int = signal.SIGTERM) -> None:
        self.kill(name, number)
        self.start(name)

    def launch(self, node: str, name: str, argv: Sequence[str], notify: bool = False) -> str:
        """One more supervised program in a node or pod, ready when it returns; its full name."""
        full = f"{node}/{name}"
        self._launch([supervisor.Spec(full, list(argv), self.plan.namespace(self.known(node)),
                                      str(self.plan.log_file(full)), configs.binds(self.plan, node), notify,
                                      environment(self.plan, node))])
        return full

    # --- commands ---------------------------------------------------------------------------------

    def known(self, node: str) -> str:
        """`node` if it is a node or pod of this lab, else LabError."""
        if node not in self.plan.topology.nodes and node not in self.plan.topology.pods:
            raise LabError(f"no node or pod '{node}' in lab '{self.plan.name}'")
        return node

    def command(self, node: str, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` inside a node or pod."""
        return enter(self.plan.namespace(self.known(node)), argv, configs.binds(self.plan, node))

    def exec_environment(self, node: str) -> dict[str, str]:
        path = f"{build_dir()}:{build_dir() / 'tools'}:{os.environ.get('PATH', '')}"
        return {**os.environ, "PATH": path, **environment(self.plan, node)}

    def exec(self, node: str, *argv: str, check: bool = True, timeout: float = 30,
             text_input: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs a program inside a node or pod and returns what it printed."""
        words = self.command(node, argv)
        try:
            done = subprocess.run(words, input=text_input, capture_output=True, text=True, timeout=timeout,
                                  env=self.exec_environment(node), check=False)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{node}: {' '.join(argv)}: no end after {timeout} s") from error
        if check and done.returncode != 0:
            raise LabError(f"{node}: {' '.join(argv)}: exit {done.returncode}: {done.stderr.strip()}")
        return done

    def popen(self, node: str, *argv: str, **options: Any) -> subprocess.Popen[str]:
        """The same in the background; the caller ends it."""
        return subprocess.Popen(self.command(node, argv), env=self.exec_environment(node), text=True, **options)

    def ctl_command(self, node: str, arguments: Sequence[str]) -> list[str]:
        role = self.plan.topology.nodes[node].role if node in self.plan.topology.nodes else None
        if role not in CONTROLLERS:
            raise LabError(f"'{node}' is no node with a daemon")
        return [program(CONTROLLERS[role]), "--run-dir", str(self.plan.run_dir(node)), *arguments]

    def ctl(self, node: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """sgctl, srctl, spactl or scscctl of a node, whichever it is."""
        return run(self.ctl_command(node, arguments), check=check)

    def show(self, node: str, topic: str, *arguments: str) -> Any:
        """`show TOPIC -o json`: the rows (a list) or the value (a mapping)."""
        reply = json.loads(self.ctl(node, "show", topic, *arguments, "-o", "json").stdout)
        return reply["rows"] if "rows" in reply else reply["value"]

    # --- links ------------------------------------------------------------------------------------

    def cut(self, link: str, way: str | None = None) -> None:
        """Lets nothing pass any more, silently; `way`: only what this node sends."""
        self.emulator.ask("cut", link, way)

    def heal(self, link: str) -> None:
        self.emulator.ask("heal", link, None)

    def set(self, link: str, way: str | None = None, **settings: str) -> None:
        """delay="20ms", loss="1%", rate="10Mbit/s" and the other settings of linkem."""
        self.emulator.ask("set", link, way, *(f"{key}={value}" for key, value in settings.items()))

    def carrier(self, link: str, up: bool) -> None:
        network.link_state(self.plan, self.plan.wire(link), up)

    # --- waiting ----------------------------------------------------------------------------------

    @staticmethod
    def wait(condition: Callable[[], Any], timeout: float, what: str, every: float = 0.05) -> Any:
        """Until `condition` gives something true, which is returned; LabError after `timeout` s."""
        deadline = time.monotonic() + timeout
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise LabError(f"waited {timeout} s for {what}")
            time.sleep(every)
        return value
