"""The command line of the benchmarks."""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dmsclab.errors import LabError

from . import google
from .figures import Figure, table
from .paths import PATHS


def _known() -> dict[str, str]:
    names = {name: google.first_comment(name) for name in google.programs()}
    return {**names, **{name: path.what for name, path in PATHS.items()}}


def _measure(name: str) -> list[Figure]:
    return PATHS[name].run() if name in PATHS else google.figures(name)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools/bench", description="The DMSC benchmarks. A figure whose baseline "
                                     "did not run in the same invocation has no ratio and is not ok.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (all if none is given)")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--json", type=Path, metavar="FILE", help="one line per figure")
    options = parser.parse_args(arguments)
    known = _known()
    if options.list:
        for name, what in known.items():
            print(f"{name:<16} {what}")
        return 0
    unknown = [name for name in options.names if name not in known]
    if unknown:
        print(f"tools/bench: no benchmark '{unknown[0]}' (there are: {', '.join(known)})", file=sys.stderr)
        return 2
    figures, failed = [], False
    for name in options.names or known:
        print(f"running {name}: {known[name]}", file=sys.stderr, flush=True)
        try:
            figures += _measure(name)
        except LabError as error:
            failed = True
            print(f"tools/bench: {name}: {error}", file=sys.stderr)
    if figures:
        print(table(figures))
    if options.json:
        options.json.write_text("".join(figure.line() + "\n" for figure in figures))
    return 1 if failed else 0
