"""A measured figure, as a row for people and as a line of JSON for programs."""
from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass
class Figure:
    bench: str
    case: str
    value: float
    unit: str
    baseline: float | None = None   # measured in the same invocation, same unit; else None
    goal: float | None = None       # least ratio (see `ratio`) that is good enough; None: none set yet
    smaller_is_better: bool = False
    limit: float | None = None      # of the value itself, same unit: the most, or the least, that is good enough

    @property
    def ratio(self) -> float | None:
        """How many times as good as the baseline; None when the baseline did not run."""
        if not self.baseline or not self.value:
            return None
        return self.baseline / self.value if self.smaller_is_better else self.value / self.baseline

    @property
    def ok(self) -> bool:
        """Every goal there is, is reached: the ratio to the baseline, the limit of the value. A figure without
        a limit is nothing without its baseline."""
        if self.limit is not None and not self._within_limit():
            return False
        if self.ratio is None:
            return self.limit is not None and self.goal is None
        return self.goal is None or self.ratio >= self.goal

    def _within_limit(self) -> bool:
        assert self.limit is not None
        return self.value <= self.limit if self.smaller_is_better else self.value >= self.limit

    def line(self) -> str:
        return json.dumps({"bench": self.bench, "case": self.case, "value": _round(self.value),
                           "unit": self.unit, "baseline": _round(self.baseline), "ratio": _round(self.ratio),
                           "goal": self.goal, "limit": self.limit, "ok": self.ok})


def _round(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.4g} M"
    return f"{value:.4g}"


def table(figures: list[Figure]) -> str:
    """The figures for people."""
    head = ("BENCH", "CASE", "VALUE", "UNIT", "BASELINE", "RATIO", "GOAL", "LIMIT", "OK")
    rows = [head] + [(f.bench, f.case, _cell(f.value), f.unit, _cell(f.baseline), _cell(f.ratio), _cell(f.goal),
                      _cell(f.limit), "yes" if f.ok else "no") for f in figures]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    right = {2, 4, 5, 6, 7}
    return "\n".join("  ".join(cell.rjust(w) if i in right else cell.ljust(w)
                               for i, (cell, w) in enumerate(zip(row, widths))).rstrip() for row in rows)
