"""Every input of the engine is recorded: one that is not makes replays go another way."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3] / "libdmsc" / "dmsc" / "linkstate"
RECORDED_ELSEWHERE = {"mark_record"}  # an entry of the record itself


def inputs():
    text = (ROOT / "engine.hpp").read_text()
    body = text[text.index("class Engine {"):]
    return set(re.findall(r"^  (?:void|\w+) (\w+)\(Time now", body[:body.index("neighbours(Time now) const")], re.M))


def test_every_input_of_the_engine_is_recorded_first():
    sources = "".join(path.read_text() for path in sorted(ROOT.glob("*.cpp")))
    found = inputs() | {"poll"}
    assert {"receive", "tick", "add_link", "shutdown", "set_prefixes"} <= found
    missing = []
    for name in sorted(found - RECORDED_ELSEWHERE):
        first_lines = re.findall(rf"^\S.* Engine::{name}\([^{{]*\{{\n(.*)$", sources, re.M)
        if not any("recorder." in line for line in first_lines):  # of overloads one may call the other
            missing.append(name)
    assert missing == [], "Engine inputs whose first line does not record them (linkstate/input_log.hpp)"


def test_every_recorded_input_is_replayed():
    replay = (ROOT / "replay.cpp").read_text()
    missing = [name for name in sorted(inputs() - RECORDED_ELSEWHERE) if f"engine.{name}(" not in replay]
    assert missing == []
