"""Figures from the Google Benchmark programs of tests/bench: bench_NAME is tests/bench/NAME.cpp.

A case becomes one figure: its counter MB or bytes if it has one, else items per second if the program counts items, else
time per iteration. A counter limit (MB) or limit_ms (time) is the most that is good enough. BASELINES says which
case of the same program is the baseline of which; both have the same arguments (X/100).
"""
from __future__ import annotations

import json
import re
from pathlib import Path

from dmsclab.errors import LabError
from dmsclab.programs import ROOT, build_dir
from dmsclab.run import run

from .figures import Figure

NANOSECONDS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
BASELINES = {
    "fib_lookup": {"fib_match": "unordered_map_match", "fib_match_batch32": "unordered_map_match",
                   "fib_chosen_names": "fib_other_names", "fib_deep_names": "fib_deep_other_names"},
    "database": {"lsdb_range_digest": "walked_range_digest"},
    "flooding": {"flood": "bare_relay", "flood_verified": "ed25519_verify", "verifier": "ed25519_verify"},
    "record": {"recorded": "unrecorded"},
    "seal": {"seal_aes": "aead_aes", "open_aes": "aead_aes", "seal_chacha": "aead_chacha", "open_chacha": "aead_chacha"},
    "spf": {"spf": "textbook_dijkstra", "spf_unit": "textbook_dijkstra_unit", "repair_median": "full_median",
            "repair_p99": "full_p99", "alternates_repaired": "alternates_anew"},
}
# What is good enough, in the unit of the figure.
LIMITS = {
    "fib_lookup": {"fib_match_batch32": 5e6, "fib_match_p99": 1500, "fib_bytes_per_prefix": 150},
    "spf": {"spf/10000": 2e6, "spf/100000": 40e6, "spf/1000000": 500e6, "spf_unit/1024": 1e6,
            "repair_median/10000": 0.2e6, "flaps_of_one_link/1000": 6e9, "flaps_of_any_link/1000": 6e9},
}


def programs() -> list[str]:
    """The names of the programs, from their sources."""
    return sorted(path.stem for path in (ROOT / "tests" / "bench").glob("*.cpp"))


def first_comment(name: str) -> str:
    """What a program measures: the first sentence of its source."""
    words = []
    for line in (ROOT / "tests" / "bench" / f"{name}.cpp").read_text().splitlines():
        if not line.startswith("//"):
            break
        words.append(line.lstrip("/ "))
    return re.split(r"(?<=[.:])\s", " ".join(words) or name)[0].rstrip(".:")


def figures(name: str) -> list[Figure]:
    program = build_dir() / "tests" / f"bench_{name}"
    if not program.exists():
        raise LabError(f"{program} is not built: run tools/build release bench_{name}")
    done = run([program, "--benchmark_format=json"], timeout=900)
    return parse(name, json.loads(done.stdout))


def parse(name: str, report: dict) -> list[Figure]:
    cases = [c for c in report["benchmarks"] if c.get("run_type", "iteration") == "iteration"]
    failed = [c for c in cases if c.get("error_occurred")]
    if failed:
        raise LabError(f"bench_{name}: {failed[0]['name']}: {failed[0].get('error_message')}")
    values = {_name(case): _value(case) for case in cases}
    limits = {_name(case): _limit(case) for case in cases}
    pairs = BASELINES.get(name, {})
    out = []
    for case, (value, unit) in values.items():
        stem, _, arguments = case.partition("/")
        if stem in pairs.values():
            continue
        beside = "/".join([pairs[stem]] + ([arguments] if arguments else [])) if stem in pairs else ""
        baseline = values[beside][0] if beside in values and values[beside][1] == unit else None
        out.append(Figure(name, case, value, unit, baseline, smaller_is_better=unit in ("ns", "MB", "bytes"),
                          limit=limits[case] or LIMITS.get(name, {}).get(case)))
    return out


def _limit(case: dict) -> float | None:
    if "limit_ms" in case:
        return case["limit_ms"] * 1e6
    return case.get("limit")


def _name(case: dict) -> str:
    """Without what Google Benchmark adds: "spf/100/iterations:5/manual_time" is "spf/100"."""
    return re.sub(r"/(iterations:\d+|manual_time|real_time|process_time)", "", case["name"])


def _value(case: dict) -> tuple[float, str]:
    if "MB" in case:
        return case["MB"], "MB"
    if "bytes" in case:
        return case["bytes"], "bytes"
    if "items_per_second" in case:
        return case["items_per_second"], "items/s"
    if "bytes_per_second" in case:
        return case["bytes_per_second"], "bytes/s"
    return case["real_time"] * NANOSECONDS[case["time_unit"]], "ns"
