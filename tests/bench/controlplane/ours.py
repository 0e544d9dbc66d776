"""Our own domain: one srd a node, with the identities that their first start got them."""
from __future__ import annotations

import json
import shutil
import subprocess
import time
from typing import Any

from dmsclab import configs
from dmsclab.errors import LabError
from dmsclab.plan import DAEMONS
from dmsclab.programs import build_dir, program

from stack import Changes, Probe, Stack


def helper(name: str) -> str:
    path = build_dir() / "tests" / "bench" / "controlplane" / f"controlplane_{name}"
    if not path.exists():
        raise LabError(f"{path} is not built: run tools/build release controlplane_{name}")
    return str(path)


class Ours(Stack):
    name = "dmsc"
    _asking: subprocess.Popen[str] | None = None    # asks for us, without a start each time

    def prepare(self) -> None:
        plan = self.net.lab.plan
        self.net.make_ip_network(False)
        for node in self.net.routers:
            config = configs.daemon_config(plan, plan.topology.nodes[node])
            if self.profile.liveness_ms:
                for link in config["links"]:
                    link["liveness"] = {"interval": f"{self.profile.liveness_ms}ms", "multiplier": 3}
            if self.profile.record:
                config["record"] = {"file": str(self.folder / node / "record")}
            configs.write(plan.config_file(node), config)
            (self.folder / node).mkdir(parents=True, exist_ok=True)
        self._enrol()

    def start(self) -> None:
        plan = self.net.lab.plan
        for node in self.net.routers:
            daemon = DAEMONS[plan.topology.nodes[node].role]
            self.net.spawn(node, daemon, [program(daemon), "--config", str(plan.config_file(node))],
                           self.folder / node)

    def _enrol(self) -> None:
        """Every node has an identity before anything is measured, as after any start but the first; what else a
        node remembers is forgotten."""
        plan = self.net.lab.plan
        missing = [n for n in self.net.routers if not (plan.data_dir(n) / "identity" / "key.pem").exists()]
        if missing:
            self.start()
            self.wait_complete(120)
            self.stop()
        for node in self.net.routers:
            for entry in plan.data_dir(node).iterdir():
                if entry.name != "identity":
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def look(self, nodes: list[str], topic: str = "counters") -> list[dict[str, Any]]:
        """A topic's value of each node; a node that does not answer (yet) gives {"error": ...}."""
        return [document.get("value", document) for document in self._documents(nodes, topic)]

    def rows(self, nodes: list[str], topic: str) -> list[list[dict[str, Any]]]:
        """A topic's rows of each node; all must answer."""
        documents = self._documents(nodes, topic)
        for node, document in zip(nodes, documents):
            if "rows" not in document:
                raise LabError(f"{node}: show {topic}: {document.get('error', 'no rows')}")
        return [document["rows"] for document in documents]

    def _documents(self, nodes: list[str], topic: str) -> list[dict[str, Any]]:
        if self._asking is None:
            self._asking = subprocess.Popen([helper("look"), "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            text=True)
        assert self._asking.stdin is not None and self._asking.stdout is not None
        run_dirs = [str(self.net.lab.plan.run_dir(node)) for node in nodes]
        print(topic, *run_dirs, file=self._asking.stdin, flush=True)
        return [json.loads(self._asking.stdout.readline() or '{"error": "controlplane_look ended"}') for _ in nodes]

    def stop(self) -> None:
        super().stop()
        if self._asking is not None:
            self._asking.kill()
            self._asking.communicate()
            self._asking = None

    def complete(self) -> float | None:
        # The last one to be started is asked first: asking all costs processor time that they need.
        for nodes in (self.net.routers[-1:], self.net.routers):
            values = self.look(nodes)
            if any(value.get("nodes") != len(self.net.routers) for value in values):
                time.sleep(0.1)
                return None
        return max(value["fib"]["last_new_node_us"] for value in values) / 1e6

    def changes(self, since: float, nodes: list[str] | None = None) -> Changes:
        at = [value["fib"]["last_node_route_us"] / 1e6 - since for value in self.look(nodes or self.net.routers)]
        after = [moment for moment in at if moment >= 0]
        return Changes(min(after, default=None), max(after, default=None), len(after))

    def drain(self, node: str, on: bool) -> None:
        """Orders a router out of transit, softly, or back."""
        answer = self.look([node], "!drain" if on else "!undrain")[0]
        if "error" in answer:
            raise LabError(f"{node}: drain: {answer['error']}")

    def drained(self, node: str) -> Changes:
        """What other nodes changed since that router's last order."""
        ordered = self.look([node])[0]["fib"]["last_drain_us"] / 1e6
        return self.changes(ordered, [other for other in self.net.routers if other != node])

    def probe(self, seconds: int) -> Probe:
        run_dir = str(self.net.lab.plan.run_dir(self.net.source))
        process = subprocess.Popen([helper("look"), f"stream,node:{self.net.target},1000,{seconds}", run_dir],
                                   stdout=subprocess.PIPE, text=True)
        return Probe(process, stoppable=False)
