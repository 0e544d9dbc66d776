"""A live node records the inputs of its engine; dmsc-replay takes them to the identical digest."""
from __future__ import annotations

import os
import re
import signal
import stat
from pathlib import Path
from typing import Iterator

import pytest
import yaml
from dmsclab.lab import Lab
from dmsclab.programs import program
from dmsclab.run import run

from conftest import TOPOLOGIES, lab_name

DIGEST = re.compile(r"^digest ([0-9a-f]{32}) of (\d+) LSAs; (\d+) digests compared, (\d+) differences$", re.M)


@pytest.fixture(scope="module")
def domain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two routers between two gateways; sr-1 records."""
    folder = Path(tmp_path_factory.mktemp("record"))
    topology = yaml.safe_load((TOPOLOGIES / "s1.yaml").read_text())
    topology["nodes"]["sr-1"] = {"role": "sr", "config": {"record": {"file": str(folder / "record"), "limit": "64MiB"}}}
    topology["links"] += [{"between": ["sg-1", "sr-1"]}, {"between": ["sr-1", "sr-2"]}]
    file = folder / "lab.yaml"
    file.write_text(yaml.safe_dump(topology))
    with Lab.up(file, name=lab_name(request)) as lab:
        lab.record = folder / "record"
        yield lab


def replay(record: Path, *options: str, check: bool = True) -> str:
    return run([program("dmsc-replay"), record, *options], check=check).stdout


def neighbour_is(lab: Lab, link: str, state: str) -> bool:
    return any(n["link"] == link and n["state"] == state for n in lab.show("sr-1", "neighbors"))


def test_a_record_of_a_link_cut_replays_to_the_identical_digest_without_keys(domain: Lab) -> None:
    lab, record = domain, domain.record
    Lab.wait(lambda: neighbour_is(lab, "to-sr-2", "up") and lab.show("sr-1", "status")["synchronised"], 20, "sr-1")
    lab.cut("sr-1--sr-2")
    Lab.wait(lambda: neighbour_is(lab, "to-sr-2", "down") or neighbour_is(lab, "to-sr-2", "init"), 5, "the loss")
    lab.heal("sr-1--sr-2")
    Lab.wait(lambda: neighbour_is(lab, "to-sr-2", "up"), 10, "the neighbour")
    lab.carrier("sr-1--sr-2", False)
    Lab.wait(lambda: neighbour_is(lab, "to-sr-2", "down"), 5, "the carrier's loss")
    lab.carrier("sr-1--sr-2", True)
    Lab.wait(lambda: neighbour_is(lab, "to-sr-2", "up"), 10, "the neighbour")
    status = lab.show("sr-1", "status")
    assert status["record"]["file"] == str(record) and status["record"]["stopped"] == ""
    lab.send("sr-1", signal.SIGTERM)
    lab.wait_exit("sr-1")

    out = replay(record, "--events")
    digest, lsas, compared, differences = DIGEST.search(out).groups()
    assert int(differences) == 0 and int(compared) >= 3 and int(lsas) >= status["lsas"]
    assert "adjacency down link" in out and "adjacency up link" in out and "interface link" in out
    # Again gives the same, to the last byte of what is printed.
    assert replay(record, "--events") == out
    assert stat.S_IMODE(os.stat(record).st_mode) == 0o600
    secrets = (lab.plan.data_dir("sr-1") / "identity").glob("*.pem")
    for pem in [path for path in secrets if "key" in path.name]:
        key = run(["openssl", "pkey", "-in", pem, "-noout", "-text"]).stdout.split("priv:")[1].split("pub:")[0]
        assert bytes.fromhex(re.sub(r"[^0-9a-f]", "", key)) not in record.read_bytes()


def test_a_record_that_was_changed_is_told_where_it_differs(domain: Lab, tmp_path: Path) -> None:
    data = bytearray(domain.record.read_bytes())
    at = data.find(b"to-sr-2")
    broken = tmp_path / "broken"
    broken.write_bytes(bytes(data[:at]))
    assert "cut short" in replay(broken)
    # The metric of a link is in what the node signs.
    name = data.find(b"sr-2", at + len("to-sr-2"))
    metric = data.index(10, name + len("sr-2"))
    data[metric] = 11
    broken.write_bytes(bytes(data))
    done = run([program("dmsc-replay"), broken], check=False)
    assert done.returncode == 1 and "DIFFERS" in done.stdout


def test_the_record_of_the_last_life_is_kept(domain: Lab) -> None:
    before = domain.record.read_bytes()
    domain.start("sr-1")
    assert Path(f"{domain.record}.old").read_bytes() == before
    assert domain.record.stat().st_size < len(before)
