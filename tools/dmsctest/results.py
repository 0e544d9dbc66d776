"""Counting results out of JUnit files."""
from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Outcome:
    """Of one section. A section that could not run at all has an error, which counts as one failure."""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    names: list[str] = field(default_factory=list)  # of what failed
    flaky: list[str] = field(default_factory=list)  # failed in the crowd, passed alone: told, not hidden
    error: str = ""

    @property
    def bad(self) -> int:
        return self.failed + (1 if self.error else 0)

    def add(self, other: "Outcome") -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.names += other.names
        self.flaky += other.flaky
        self.error = self.error or other.error


def failed_pytest_ids(path: Path) -> list[str]:
    """What pytest would have to be given to run the failed tests of a JUnit file again."""
    out = []
    for case in ElementTree.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            file = case.get("classname", "").replace(".", "/") + ".py"
            out.append(f"{file}::{case.get('name', '')}")
    return out


def read(path: Path) -> Outcome:
    """The outcome in one JUnit file of Catch2 or pytest. Catch2 writes one entry per section of a test
    case: they are counted as one test."""
    out = Outcome()
    try:
        cases = list(ElementTree.parse(path).iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        return Outcome(error=f"{path.name}: no results: {error}")
    verdicts: dict[tuple[str, str], str] = {}
    for case in cases:
        classname, name = case.get("classname", ""), case.get("name", "")
        key = (classname, name.split("/")[0] if classname.endswith(".global") else name)
        verdict = "passed"
        if case.find("failure") is not None or case.find("error") is not None:
            verdict = "failed"
        elif case.find("skipped") is not None:
            verdict = "skipped"
        if verdicts.get(key) != "failed":
            verdicts[key] = verdict
    for (_, name), verdict in verdicts.items():
        if verdict == "passed":
            out.passed += 1
        elif verdict == "skipped":
            out.skipped += 1
        else:
            out.failed += 1
            out.names.append(name)
    return out
