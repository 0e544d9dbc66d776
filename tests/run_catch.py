#!/usr/bin/python3
"""run_catch.py PROGRAM RESULTS.xml [argument...]: runs a Catch2 program, its results into a JUnit file,
what failed to the output. Exits as the program does. A program that dies leaves a file that says so."""
from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def failures(path: Path) -> list[str]:
    out = []
    for case in ElementTree.parse(path).iter("testcase"):
        for bad in [*case.findall("failure"), *case.findall("error")]:
            out.append(f"FAILED {case.get('name')}\n{(bad.text or bad.get('message') or '').strip()}")
    return out


def main(arguments: list[str]) -> int:
    program, results = Path(arguments[0]), Path(arguments[1])
    results.parent.mkdir(parents=True, exist_ok=True)
    results.unlink(missing_ok=True)
    done = subprocess.run([str(program), "-r", "junit", "-o", str(results), *arguments[2:]], check=False)
    try:
        found = failures(results)
    except (OSError, ElementTree.ParseError):
        found = [f"{program.name} ended with {done.returncode} before it wrote its results"]
        results.write_text(f'<testsuites><testsuite><testcase classname="{program.name}" name="{program.name} '
                           f'runs to its end"><error message="{found[0]}"/></testcase></testsuite></testsuites>')
    print("\n\n".join(found))
    return done.returncode if done.returncode else len(found) > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
