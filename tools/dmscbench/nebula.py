"""Nebula between two gateways' namespaces: the encrypting overlay that bulk transfers are judged beside."""
from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Iterator

import yaml

from dmsclab.lab import Lab

from . import baselines

PORT, DEVICE, FAR_ADDRESS = 4242, "nebula0", "10.73.0.2"
ANYTHING = [{"port": "any", "proto": "any", "host": "any"}]


def installed() -> bool:
    return all(shutil.which(program) for program in ("nebula", "nebula-cert"))


def _config(folder: Path, number: int, mine: str, other: str) -> Path:
    path = folder / f"{number}.yml"
    path.write_text(yaml.safe_dump({
        "pki": {"ca": f"{folder}/ca.crt", "cert": f"{folder}/{number}.crt", "key": f"{folder}/{number}.key"},
        "static_host_map": {f"10.73.0.{3 - number}": [f"{other}:{PORT}"]},
        "lighthouse": {"am_lighthouse": False, "hosts": []},
        "listen": {"host": mine, "port": PORT, "batch": 64, "read_buffer": 4 << 20, "write_buffer": 4 << 20},
        "punchy": {"punch": False}, "tun": {"dev": DEVICE, "mtu": 1300, "tx_queue": 1000}, "cipher": "aes",
        "logging": {"level": "warning"}, "firewall": {"outbound": ANYTHING, "inbound": ANYTHING}}))
    return path


@contextmanager
def overlay(lab: Lab, link: str, near: str, far: str, cores: tuple[int, int]) -> Iterator[str]:
    """From `near` to `far`, AES-256-GCM, each on its core. Yields the far address."""
    ends = baselines.address(lab, link, near), baselines.address(lab, link, far)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        for words in (("ca", "-name", "bench"), ("sign", "-name", "1", "-ip", "10.73.0.1/24"),
                      ("sign", "-name", "2", "-ip", f"{FAR_ADDRESS}/24")):
            subprocess.run(["nebula-cert", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        for number, node in enumerate((near, far), 1):
            config = _config(folder, number, ends[number - 1], ends[2 - number])
            stack.enter_context(baselines.running(lab, node, "taskset", "-c", str(cores[number - 1]), "nebula",
                                                  "-config", str(config)))
        time.sleep(1.5)
        lab.exec(near, "ping", "-q", "-c", "3", "-i", "0.2", FAR_ADDRESS)
        yield FAR_ADDRESS
