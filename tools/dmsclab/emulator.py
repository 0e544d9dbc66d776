"""The lab's link emulator: which process carries which links, and how it is asked."""
from __future__ import annotations

import json
import socket
from typing import Any

from .errors import LabError
from .plan import Plan
from .programs import program
from .supervisor import Spec


class Emulator:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def spec(self) -> Spec:
        """One linkem for all emulated links, in a namespace of its own."""
        argv = [program("linkem"), "run", "--control", str(self._plan.linkem_socket)]
        for wire in self._plan.wires:
            if wire.link.emulate:
                settings = [f"{key}={value}" for key, value in wire.link.settings.items()]
                argv += ["--link", f"{wire.link.name}=" + ",".join([*wire.inner, *settings])]
        return Spec("linkem", argv, self._plan.namespace("linkem"), str(self._plan.log_file("linkem")))

    def ask(self, verb: str, link: str, way: str | None, *settings: str) -> dict[str, Any]:
        """cut, heal or set. `way` is the node whose frames are meant; None is both ways."""
        wire = self._plan.wire(link)
        if not wire.link.emulate:
            raise LabError(f"link {wire.link.name} has no emulator; give it `emulate: true`")
        side = "both"
        if way is not None:
            if way not in wire.link.ends:
                raise LabError(f"'{way}' is no end of link {wire.link.name}")
            side = str(wire.link.ends.index(way))
        return self._request(" ".join([verb, wire.link.name, side, *settings]))

    def show(self) -> list[dict[str, Any]]:
        """Every emulated link with its settings and counters, both ways."""
        return self._request("show")["links"] if any(w.link.emulate for w in self._plan.wires) else []

    def _request(self, line: str) -> dict[str, Any]:
        path = self._plan.linkem_socket
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                connection.connect(str(path))
                connection.sendall(line.encode() + b"\n")
                with connection.makefile() as answers:
                    reply = json.loads(answers.readline())
        except (OSError, ValueError) as error:
            raise LabError(f"the link emulator at {path} does not answer: {error}") from error
        if not reply.get("ok"):
            raise LabError(f"link emulator: {reply.get('error')}")
        return reply
