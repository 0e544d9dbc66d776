"""Benchmarks through the real daemons: two gateways, one router, a pod on each side."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from dmsclab.lab import Lab
from dmsclab.programs import ROOT

from .figures import Figure

TOPOLOGY = ROOT / "tests" / "bench" / "topologies" / "line.yaml"


@dataclass
class PathBench:
    what: str
    run: Callable[[], list[Figure]]


def _lab(only: list[str] | None = None) -> Lab:
    return Lab.up(TOPOLOGY, name="bench", only=only)


PATHS: dict[str, PathBench] = {}
