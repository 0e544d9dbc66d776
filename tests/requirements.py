#!/usr/bin/python3
"""Checks docs/requirements.md against the tests that ran.

    tests/requirements.py [RESULTS.xml ...]

Prints the number of open rows; with JUnit files it also fails on a row whose named test did not
run (or was skipped). Test names: a Catch2 case by its full name, a pytest test as file.py::name
(with any [parameters] left out).
"""
from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "requirements.md"
EXPECTED = [f"R{i}" for i in range(1, 47)]
ROW = re.compile(r"^\|\s*(R\d+)\s*\|(.*)\|(.*)\|(.*)\|\s*$")


@dataclass
class Row:
    id: str
    requirement: str
    where: str
    tests: list[str]  # empty = open


def read_rows(text: str) -> tuple[list[Row], list[str]]:
    """The rows of the page, and what is wrong with them."""
    rows, errors = [], []
    for number, line in enumerate(text.splitlines(), 1):
        match = ROW.match(line)
        if not match:
            continue
        name, requirement, where, cell = (part.strip() for part in match.groups())
        tests = re.findall(r"`([^`]+)`", cell)
        if not tests and cell != "open":
            errors.append(f"line {number}: {name}: the test cell is neither `a test` nor open")
        rows.append(Row(name, requirement, where, tests))
    ids = [row.id for row in rows]
    if ids != EXPECTED:
        wrong = sorted(set(ids) ^ set(EXPECTED)) or ["order"]
        errors.append(f"the page must have the rows R1 to R46 once each, in order: {', '.join(wrong)}")
    return rows, errors


def junit_names(path: Path) -> set[str]:
    """The names of the tests that ran (not the skipped ones) in a JUnit file of Catch2 or pytest."""
    names = set()
    for case in ElementTree.parse(path).iter("testcase"):
        if case.find("skipped") is not None:
            continue
        name = case.get("name", "")
        names.add(name)
        # Catch2 version 2 reports a section as CASE/section and the case itself as CASE/root.
        for end in range(len(name)):
            if name[end] == "/":
                names.add(name[:end])
        module = case.get("classname", "").split(".")[-1]
        names.add(f"{module}.py::{name.split('[')[0]}")
    return names


def check(text: str, ran: set[str] | None) -> tuple[int, list[str]]:
    """(open rows, errors); `ran` None means that no results are at hand."""
    rows, errors = read_rows(text)
    for row in rows if ran is not None else []:
        errors += [f"{row.id}: its test did not run: {test}" for test in row.tests if test not in ran]
    return sum(1 for row in rows if not row.tests), errors


def main(arguments: list[str]) -> int:
    ran = set().union(*(junit_names(Path(a)) for a in arguments)) if arguments else None
    still_open, errors = check(PAGE.read_text(), ran)
    print(f"requirements: {len(EXPECTED) - still_open} shown, {still_open} open")
    for error in errors:
        print(f"requirements: {error}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
