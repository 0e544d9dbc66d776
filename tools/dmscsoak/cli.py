"""The command line of the soaks."""
from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from .figures import Figure, merged, parse
from .soaks import SOAKS, Soak, find, processors

ROOT = Path(__file__).resolve().parents[2]


def build_dir() -> Path:
    return Path(os.environ.get("DMSC_BUILD", ROOT / "build" / "release"))


PATIENCE = 30                       # seconds for a program told to end: one may have a lab to take down


def build(target: str) -> bool:
    return subprocess.run([ROOT / "tools" / "build", "release", *target.split()], check=False).returncode == 0


class Copy:
    """One running program: its output goes to ours line by line, figures are kept."""

    def __init__(self, soak: Soak, argv: list[str], tag: str, count: int):
        self.figures: list[Figure] = []
        self.error = ""
        self._tag = tag
        words = [str(build_dir() / argv[0]), *argv[1:]]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                         env={**os.environ, **{name: value.replace("{n}", str(count))
                                                               for name, value in soak.environment}})
        self._reader = threading.Thread(target=self._read, args=(soak.name,))
        self._reader.start()

    def _read(self, soak: str) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            figure = parse(soak, line)
            if figure is not None:
                self.figures.append(figure)
            else:
                print(f"{self._tag}{line}", end="", flush=True)

    def wait(self) -> None:
        code = self._process.wait()
        self._reader.join()
        if code:
            self.error = f"exit {code}" if code > 0 else f"killed by signal {-code}"

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()


def run(soak: Soak, jobs: int, count: int | None, extra: list[str]) -> tuple[list[Figure], str]:
    """(figures, error) of one soak."""
    copies: list[Copy] = []
    try:
        commands = soak.commands(jobs, count or soak.items)
        for number, argv in enumerate(commands):
            copies.append(Copy(soak, [*argv, *extra], f"{number + 1}: " if len(commands) > 1 else "",
                               count or soak.items))
        for copy in copies:
            copy.wait()
    except OSError as error:
        return [], str(error)
    finally:
        for copy in copies:
            copy.stop()
    figures = merged([figure for copy in copies for figure in copy.figures])
    return figures, "; ".join(sorted({copy.error for copy in copies if copy.error}))


def report(soak: Soak, figures: list[Figure], error: str, seconds: float) -> bool:
    """The closing lines of one soak; whether all was well."""
    for figure in figures:
        goal = ""
        if figure.at_most is not None:
            goal = f"  at most {figure.at_most:g}"
        elif figure.at_least is not None:
            goal = f"  at least {figure.at_least:g}"
        print(f"  {figure.case}: {figure.value:.10g} {figure.unit}".rstrip() + goal + ("" if figure.ok else "  NOT OK"))
    good = not error and all(figure.ok for figure in figures)
    print(f"{soak.name}: {'ok' if good else 'FAILED'} in {seconds:.0f} s{': ' + error if error else ''}", flush=True)
    return good


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/soak", description="Long runs of DMSC: hours on one machine. Words "
                                     "after -- go to the program of the soak.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which, one after the other")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--count", type=int, metavar="N", help="so many seeds, edits or cases instead of all")
    parser.add_argument("--jobs", type=int, default=processors(), metavar="N", help="copies side by side (processors)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="one line per figure")
    parser.add_argument("--no-build", action="store_true", help="the programs are built")
    options = parser.parse_args(words)
    if not options.list and not options.names:
        parser.error("which? --list shows them")
    if options.count is not None and options.count < 1:
        parser.error(f"--count {options.count}: at least 1")
    return options


def main(words: list[str]) -> int:
    extra = words[words.index("--") + 1:] if "--" in words else []
    options = arguments(words[:words.index("--")] if "--" in words else words)
    if options.list:
        for soak in SOAKS:
            print(f"{soak.name:<12} {soak.items:>10,} {soak.what}")
        return 0
    chosen = [find(name) for name in options.names]
    for name, soak in zip(options.names, chosen):
        if soak is None:
            print(f"tools/soak: no soak '{name}' (there are: {', '.join(s.name for s in SOAKS)})", file=sys.stderr)
            return 2
    good, lines = True, []
    for soak in chosen:
        assert soak is not None
        if not options.no_build and not build(soak.target):
            return 1
        print(f"==> {soak.name}: {soak.what}", flush=True)
        started = time.monotonic()
        figures, error = run(soak, options.jobs, options.count, extra)
        good = report(soak, figures, error, time.monotonic() - started) and good
        lines += [figure.line() for figure in figures]
        if options.json:
            options.json.write_text("".join(line + "\n" for line in lines))
    return 0 if good else 1
