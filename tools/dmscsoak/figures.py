"""The figures a soak prints, merged over its copies and judged against their goals."""
from __future__ import annotations

import json
import math
from dataclasses import dataclass, field

MERGE = {"sum": lambda a, b: a + b, "max": max, "min": min}


@dataclass
class Figure:
    soak: str
    case: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    merge: str = "max"
    q: float = 0                    # merge "quantile": `value` is this quantile of what was counted
    histogram: dict[float, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return ((self.at_most is None or self.value <= self.at_most)
                and (self.at_least is None or self.value >= self.at_least))

    def line(self) -> str:
        """As tools/bench writes them: one JSON object."""
        goal = self.at_most if self.at_most is not None else self.at_least
        return json.dumps({"soak": self.soak, "case": self.case, "value": self.value, "unit": self.unit,
                           "goal": goal, "ok": self.ok})


def parse(soak: str, line: str) -> Figure | None:
    """The figure a line of output tells, if it tells one."""
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
        return Figure(soak, str(found["case"]), found["value"] + 0, str(found.get("unit", "")), found.get("at_most"),
                      found.get("at_least"), found.get("merge", "max"), found.get("q", 0),
                      {value: count for value, count in found.get("histogram", [])})
    except (ValueError, KeyError, TypeError):
        return None


def join(first: Figure, second: Figure) -> None:
    """Takes the second into the first. The percentile of a whole is no function of those of its parts: what was
    counted is added up."""
    if first.merge != "quantile":
        first.value = MERGE.get(first.merge, max)(first.value, second.value)
        return
    for value, count in second.histogram.items():
        first.histogram[value] = first.histogram.get(value, 0) + count
    missing = math.ceil(first.q * sum(first.histogram.values()))
    for value in sorted(first.histogram):
        missing -= first.histogram[value]
        if missing <= 0:
            first.value = value
            return


def merged(figures: list[Figure]) -> list[Figure]:
    """One figure per case, in the order of their first appearance."""
    out: dict[str, Figure] = {}
    for figure in figures:
        first = out.setdefault(figure.case, figure)
        if first is not figure:
            join(first, figure)
    return list(out.values())
