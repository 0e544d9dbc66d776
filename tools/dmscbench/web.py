"""HTTP by an unmodified client (wrk) and server (nginx) through two gateways, beside nginx as a TCP proxy on
either side; and connections a second. One core per host, as in bulk.py."""
from __future__ import annotations

import re
import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Iterator

from dmsclab.errors import LabError
from dmsclab.lab import Lab

from . import baselines
from .bulk import FAR, NEAR, PORT, bulk_lab
from .figures import Figure

STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
CONNECTIONS, SECONDS, REPEATS = 64, 4, 3
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}

BASE = """daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 4096; }}
"""
SERVER = BASE + """http {{
  access_log off; keepalive_requests 10000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen {listen}; location / {{ return 200 "hello\\n"; }} }}
}}
"""
PROXY = "load_module {module};\n" + BASE + """stream {{ server {{ listen {listen}; proxy_pass {to}; }} }}
"""


@dataclass
class Load:
    rate: float
    p50_us: float
    p99_us: float


def _us(text: str, share: str) -> float:
    match = re.search(rf"\s{share}%\s+([\d.]+)(us|ms|s)\b", text)
    if match is None:
        raise LabError(f"wrk tells no {share}% latency: {text.strip()}")
    return float(match.group(1)) * UNITS[match.group(2)]


def _wrk(lab: Lab, client: str, url: str, *options: str) -> Load:
    """The median of some runs."""
    runs = []
    for _ in range(REPEATS):
        text = lab.exec(client, "taskset", "-c", str(NEAR), "wrk", "-t", "1", "-c", str(CONNECTIONS), "-d",
                        f"{SECONDS}s", "--latency", *options, url, timeout=SECONDS + 30).stdout
        rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
        if rate is None or "Non-2xx" in text:
            raise LabError(f"wrk from {client} to {url}: {text.strip()}")
        runs.append(Load(float(rate.group(1)), _us(text, "50"), _us(text, "99")))
    return Load(*(median(getattr(run, key) for run in runs) for key in ("rate", "p50_us", "p99_us")))


@contextmanager
def _nginx(lab: Lab, node: str, core: int, template: str, **values: str) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nginx.conf"
        config.write_text(template.format(folder=folder, module=STREAM_MODULE, **values))
        with baselines.running(lab, node, "taskset", "-c", str(core), "nginx", "-e", "stderr", "-c", str(config)):
            time.sleep(0.5)
            yield


def _proxied(lab: Lab, stack: ExitStack) -> str:
    """nginx, nginx, nginx: the address of the first."""
    far, near = baselines.address(lab, "sg-1--sg-2", "sg-2"), "127.0.0.1"
    stack.enter_context(_nginx(lab, "sg-2", FAR, SERVER, listen="127.0.0.1:7801"))
    stack.enter_context(_nginx(lab, "sg-2", FAR, PROXY, listen=f"{far}:7802", to="127.0.0.1:7801"))
    stack.enter_context(_nginx(lab, "sg-1", NEAR, PROXY, listen=f"{near}:7803", to=f"{far}:7802"))
    return f"http://{near}:7803/"


def web() -> list[Figure]:
    for what, there in (("wrk", shutil.which("wrk")), ("nginx", shutil.which("nginx")),
                        ("libnginx-mod-stream", STREAM_MODULE.exists())):
        if not there:
            raise LabError(f"{what} is not installed")
    return [figure for sealed in (True, False) for figure in _beside_nginx(sealed)]


def _beside_nginx(sealed: bool) -> list[Figure]:
    """nginx proxies in clear in both cases."""
    close = ("-H", "Connection: close")
    with bulk_lab(sealed) as lab, ExitStack() as stack:
        stack.enter_context(_nginx(lab, "pod-2", FAR, SERVER, listen=f"127.0.0.1:{PORT}"))
        ours = f"http://2.b.svc.dmsc:{PORT}/"
        theirs = _proxied(lab, stack)
        kept, beside = _wrk(lab, "pod-1", ours), _wrk(lab, "sg-1", theirs)
        made, made_beside = _wrk(lab, "pod-1", ours, *close), _wrk(lab, "sg-1", theirs, *close)
    word = "sealed" if sealed else "clear"
    case = f"{word}, {CONNECTIONS} connections, beside nginx twice"
    return [Figure("web", f"requests, {case}", kept.rate, "requests/s", beside.rate, 1.0),
            Figure("web", f"p50, {case}", kept.p50_us, "us", beside.p50_us, 1.0, smaller_is_better=True),
            Figure("web", f"p99, {case}", kept.p99_us, "us", beside.p99_us, 1.0, smaller_is_better=True),
            Figure("web", f"connections made, {word}, beside nginx twice", made.rate, "connections/s",
                   made_beside.rate, limit=5000)]
