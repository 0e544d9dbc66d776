"""busy.py [SECONDS]: a grid of our routers while other programs keep every core busy at ordinary priority. Nothing
fails, so every adjacency lost is a false loss. Prints figures as tools/soak reads them."""
from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE), str(HERE.parents[2] / "tools")]

from dmsclab.errors import LabError  # noqa: E402
from dmsclab.lab import Lab  # noqa: E402

import measure  # noqa: E402
from net import Net  # noqa: E402
from ours import Ours  # noqa: E402
from stack import PROFILES  # noqa: E402

SHAPE = "grid:5x5"
TAIL_S = 10                         # a last look while the cores are still busy


def false_losses(ours: Ours) -> tuple[int, int]:
    """Adjacencies lost since the start, and adjacencies that are up, over all nodes."""
    rows = [row for rows in ours.rows(ours.net.routers, "neighbors") for row in rows]
    return sum(row["flaps"] for row in rows), sum(row["state"] == "up" for row in rows)


def run(seconds: float) -> list[dict[str, object]]:
    lab = Lab.up(SHAPE, name=os.environ.get("DMSC_BENCH_LAB", "busy"), only=["spa-1"])
    burners: list[subprocess.Popen[bytes]] = []
    net = Net(lab, SHAPE)
    try:
        folder = lab.plan.state / "bench" / "busy"
        folder.mkdir(parents=True)
        ours = Ours(net, PROFILES["default"], folder)
        measure.cold(ours)
        measure.settle(ours)
        before, up = false_losses(ours)
        burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
        time.sleep(max(0.0, seconds - TAIL_S))
        _, still = false_losses(ours)
        time.sleep(min(seconds, TAIL_S))
        net.require_alive()
        end, _ = false_losses(ours)
        return [{"case": "adjacencies lost with every core busy", "value": end - before, "unit": "losses",
                 "at_most": 0, "merge": "sum"},
                {"case": "adjacencies watched", "value": still, "unit": "adjacency ends", "at_least": up},
                {"case": "seconds watched", "value": seconds, "unit": "s"}]
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
        net.close()
        Lab.down(lab.plan.name)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="busy.py", description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=600.0, help="how long (600)")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # the namespaces go then too
    try:
        figures = run(options.seconds)
    except LabError as error:
        print(f"busy: {error}", file=sys.stderr)
        return 1
    for figure in figures:
        print(json.dumps(figure), flush=True)
    return 0 if figures[0]["value"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
