"""Topologies by pattern, for benchmarks and for looking around: `grid:10x10`, `line:3`. All nodes are
routers but for one SPA, which enrols them; the links are plain, without the emulator."""
from __future__ import annotations

import re
from typing import Any

from .errors import LabError

PATTERN = re.compile(r"^(?:grid:([1-9]\d{0,2})x([1-9]\d{0,2})|line:([1-9]\d{0,2}))$")


def is_pattern(text: str) -> bool:
    return text.startswith(("grid:", "line:"))


def shape(text: str) -> tuple[int, int]:
    """Rows and columns; a line is one row."""
    match = PATTERN.match(text)
    if match is None:
        raise LabError(f"'{text}' is no pattern: grid:ROWSxCOLUMNS or line:NODES")
    rows, columns, length = match.groups()
    return (1, int(length)) if length else (int(rows), int(columns))


def router(row: int, column: int) -> str:
    """The name of the node in that place, from 0."""
    return f"r{row}c{column}"


def links(rows: int, columns: int) -> list[tuple[str, str]]:
    across = [(router(i, j), router(i, j + 1)) for i in range(rows) for j in range(columns - 1)]
    down = [(router(i, j), router(i + 1, j)) for i in range(rows - 1) for j in range(columns)]
    return across + down


def document(text: str) -> dict[str, Any]:
    """The topology document of a pattern, as a YAML file would hold it."""
    rows, columns = shape(text)
    routers = [router(i, j) for i in range(rows) for j in range(columns)]
    nodes: dict[str, Any] = {"spa-1": {"role": "spa", "writer": True}}
    nodes.update({name: {"role": "sr"} for name in routers})
    return {"name": text.split(":")[0], "domain": "lab.dmsc", "nodes": nodes,
            "defaults": {"link": {"emulate": False}},
            "links": [{"between": list(ends)} for ends in links(rows, columns)]}
