"""Where the built programs are, and which of them run in a pod."""
from __future__ import annotations

import os
from pathlib import Path

from . import configs
from .errors import LabError
from .plan import Plan
from .supervisor import Spec
from .topology import Pod

ROOT = Path(__file__).resolve().parents[2]


def build_dir() -> Path:
    return Path(os.environ.get("DMSC_BUILD", ROOT / "build" / "release"))


def program(name: str) -> str:
    """The path of a program of this project."""
    for path in (build_dir() / name, build_dir() / "tools" / name):
        if path.is_file():
            return str(path)
    raise LabError(f"{name} is not built in {build_dir()}: run tools/build")


def environment(plan: Plan, node: str) -> dict[str, str]:
    """Where the programs of a pod, or of a gateway itself, find their gateway's sockets."""
    topology = plan.topology
    gateway = topology.pods[node].gateway if node in topology.pods else node
    if gateway in topology.nodes and topology.nodes[gateway].role == "sg":
        return {"DMSC_RUN_DIR": str(plan.run_dir(gateway))}
    return {}


def pod_specs(plan: Plan, pod: Pod) -> list[Spec]:
    """The agent that announces and answers, then the pod's other programs."""
    def spec(name: str, argv: list[str], notify: bool) -> Spec:
        full = f"{pod.name}/{name}"
        return Spec(full, argv, plan.namespace(pod.name), str(plan.log_file(full)), configs.binds(plan, pod.name),
                    notify, environment(plan, pod.name), str(plan.folder(pod.name)))

    specs = []
    if pod.web:
        specs.append(spec("web", ["nginx", "-e", "stderr", "-c", str(plan.folder(pod.name) / "nginx.conf")], False))
    if pod.announce:
        argv = [program("dmsc-pod"), "serve"]
        for prefix in pod.announce:
            argv += ["--prefix", prefix]
        endpoint = pod.endpoint or (f"127.0.0.1:{pod.web}" if pod.web else "")
        if endpoint:
            argv += ["--endpoint", endpoint]
        specs.append(spec("serve", argv + (["--pool"] if pod.pool else []), True))
    for other in pod.programs:
        specs.append(spec(other.name, other.run, other.notify))
    return specs
