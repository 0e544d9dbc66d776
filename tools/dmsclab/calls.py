"""Calls by name out of a pod, through dmsc-pod."""
from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from .errors import LabError
from .lab import Lab
from .programs import program


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
