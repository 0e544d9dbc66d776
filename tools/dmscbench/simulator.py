"""What a virtual hour of the simulator costs, from its own figures."""
from __future__ import annotations

from dmsclab.errors import LabError
from dmsclab.programs import build_dir
from dmsclab.run import run
from dmscsoak import figures as told

from .figures import Figure


def hours() -> list[Figure]:
    """100 nodes, with link tags stubbed and with all of them real."""
    program = build_dir() / "tests" / "sim"
    if not program.exists():
        raise LabError(f"{program} is not built: run tools/build release sim")
    found = []
    for case in ("hour", "hour-real"):  # one after the other: each has the processor for itself
        done = run([program, "case", case, "--json"], timeout=900)
        lines = [told.parse("simulator", line) for line in done.stdout.splitlines()]
        found += [Figure("simulator", figure.case, figure.value, figure.unit, smaller_is_better=True,
                         limit=figure.at_most)
                  for figure in lines if figure is not None and "processor time" in figure.case]
    if not found:
        raise LabError(f"{program} printed no figure")
    return found
