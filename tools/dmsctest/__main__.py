"""tools/test: the sections one after the other, then the requirements, then the closing line."""
from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from .results import Outcome
from .sections import RESULTS, ROOT, SECTIONS, Options, Section


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/test", description=__doc__)
    parser.add_argument("--fast", action="store_true", help="unit tests, layout and a few seeds only")
    parser.add_argument("--full", action="store_true", help="more seeds, longer fuzzing, all sanitizers")
    parser.add_argument("--only", help="just these sections, comma separated")
    parser.add_argument("--list", action="store_true", help="the sections")
    return parser.parse_args()


def chosen(options: argparse.Namespace) -> list[Section]:
    if options.only:
        names = options.only.split(",")
        unknown = set(names) - {section.name for section in SECTIONS}
        if unknown:
            sys.exit(f"tools/test: no section {', '.join(sorted(unknown))}; --list shows them")
        return [section for section in SECTIONS if section.name in names]
    return [section for section in SECTIONS
            if (section.fast or not options.fast) and (options.full or not section.full_only)]


def requirements(complete: bool) -> Outcome:
    """The open rows; with the results of a complete run, also whether every named test ran."""
    files: list[Path] = []
    if complete:
        files = sorted(RESULTS.glob("*.xml")) + sorted((ROOT / "build" / "release" / "results").glob("*.xml"))
    code = subprocess.run([str(ROOT / "tests" / "requirements.py"), *map(str, files)], check=False).returncode
    return Outcome(passed=int(code == 0), failed=int(code != 0), names=["requirements"] if code else [])


def main() -> int:
    chosen_options = arguments()
    if chosen_options.list:
        for section in SECTIONS:
            print(f"{section.name:<8} {section.what}")
        return 0
    options = Options(chosen_options.fast, chosen_options.full)
    RESULTS.mkdir(parents=True, exist_ok=True)
    complete = not chosen_options.only and not options.fast
    if complete:
        for old in RESULTS.glob("*.xml"):
            old.unlink()
    total, lines = Outcome(), []
    for section in chosen(chosen_options):
        print(f"\n==> {section.name}: {section.what}", flush=True)
        started = time.monotonic()
        outcome = section.run(options)
        lines.append((section, outcome, time.monotonic() - started))
        total.add(Outcome(outcome.passed, outcome.bad, outcome.skipped, outcome.names))
        if section.name == "build" and outcome.bad:
            print("the build failed: nothing else can run")
            break
    print()
    total.add(requirements(complete and not lines[-1][1].error))
    for section, outcome, seconds in lines:
        print(f"{section.name:<8} {outcome.passed:>5} passed {outcome.bad:>4} failed {outcome.skipped:>4} skipped "
              f"{seconds:>7.0f} s  {outcome.error}".rstrip())
        for name in outcome.names:
            print(f"         FAILED {name}")
        for name in outcome.flaky:
            print(f"         FLAKY {name}: passed alone")
    print(f"{total.passed} passed, {total.failed} failed")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
