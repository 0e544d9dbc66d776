"""Our routers in a domain made up by controlplane_origin, which is itself the first node: no SPA runs, and what
it announces is told it line by line."""
from __future__ import annotations

import json
import subprocess
import time
from typing import Any

from dmsclab import configs
from dmsclab.errors import LabError
from dmsclab.programs import program

from net import Net
from ours import Ours, helper
from stack import PROFILES


class MadeUp:
    """A line: the origin, then routers."""

    def __init__(self, net: Net, ours: Ours) -> None:
        self.net, self.ours, self._plan = net, ours, net.lab.plan
        self.origin, *self.routers = net.routers
        for number, node in enumerate(self.routers, 2):
            config = configs.daemon_config(self._plan, self._plan.topology.nodes[node])
            configs.write(self._plan.config_file(node), {**config, "spa": []})
            (ours.folder / node).mkdir(parents=True, exist_ok=True)
            subprocess.run([helper("origin"), "identity", node, str(number), "sr", str(self._plan.data_dir(node))],
                           check=True)
            net.spawn(node, "srd", [program("srd"), "--config", str(self._plan.config_file(node))],
                      ours.folder / node)
        wire, end = self._plan.wires_of(self.origin)[0]
        argv = [helper("origin"), "run", self.origin, wire.addresses[end], wire.addresses[1 - end],
                wire.link.ends[1 - end], wire.interfaces[end]]
        with net.inside(self.origin):
            self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                             stderr=subprocess.DEVNULL, text=True)
        self.wait(lambda values: all(value.get("nodes") == len(net.routers) for value in values), 30, "routes")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self.ours.stop()

    def tell(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "the origin ended"}')
        if "error" in answer:
            raise LabError(f"{command}: {answer['error']}")
        return answer

    def wait(self, condition: Any, timeout: float, what: str, every: float = 0.2) -> list[dict[str, Any]]:
        """The counters of the routers once `condition` holds of them."""
        deadline = time.monotonic() + timeout
        while True:
            values = self.ours.look(self.routers)
            if condition(values):
                return values
            if time.monotonic() > deadline:
                raise LabError(f"waited {timeout:.0f} s for {what}: {values[-1].get('prefixes', values[-1])}")
            time.sleep(every)


def made_up(net: Net) -> MadeUp:
    folder = net.lab.plan.state / "bench" / "made-up"
    folder.mkdir(parents=True, exist_ok=True)
    return MadeUp(net, Ours(net, PROFILES["default"], folder))
