"""The second half of tools/demo: brings Figure 2 up, makes the call, shows what happened."""
from __future__ import annotations

import sys
import time

from . import lsdb
from .calls import call
from .errors import LabError
from .lab import Lab
from .programs import ROOT

TOPOLOGY = ROOT / "config" / "fig2" / "lab.yaml"
CALLER, NAME, TEXT = "pod-1", "B/4", "hello from A/1"


def say(text: str) -> None:
    print(f"\033[1m==> {text}\033[0m" if sys.stdout.isatty() else f"==> {text}", flush=True)


def note(text: str) -> None:
    print("\n".join("    " + line for line in text.splitlines()), flush=True)


def arrows(path: list[str]) -> str:
    return " -> ".join(path)


def wait_for_names(lab: Lab) -> float:
    """Until every announced prefix is in the FIB of every gateway; how long it took, in seconds."""
    started = time.monotonic()
    wanted = {prefix for pod in lab.plan.topology.pods.values() for prefix in pod.announce}
    for gateway in lab.plan.topology.of_role("sg"):
        def missing() -> set[str]:
            return wanted - {row["prefix"] for row in lab.show(gateway.name, "fib")}
        try:
            lab.wait(lambda: not missing(), 30, "names", every=0.1)
        except LabError as error:
            raise LabError(f"{gateway.name} has no route to {', '.join(sorted(missing()))} after 30 s; "
                           f"tools/lab --name {lab.plan.name} ctl {gateway.name} explain {sorted(missing())[0]}") from error
    lab.wait(lambda: lsdb.settled(lab), 30, "every node to route by the shortest paths", every=0.1)
    return time.monotonic() - started


def show_call(lab: Lab) -> bool:
    """The call, its reply, the recorded path against the LSDB's. False if they differ."""
    say(f"the call A/1 -> {NAME}, made in {CALLER}")
    note(f"$ dmsc-pod call {NAME} '{TEXT}' --source A/1 --trace")
    reply = call(lab, CALLER, NAME, TEXT, "--source", "A/1")
    if reply.error:
        note(f"failed: {reply.error}")
        return False
    gateway = lab.plan.topology.pods[CALLER].gateway
    shortest = lsdb.graph(lab, gateway).shortest_paths(gateway, reply.egress)
    same = reply.path in shortest
    note(f"reply                     {reply.text}   ({reply.took_ms:.2f} ms, served at {reply.egress})")
    note(f"path in the packet        {arrows(reply.path)}")
    for i, path in enumerate(shortest):
        note(f"{'path by the LSDB' if i == 0 else '  or, at equal cost'}          "[:26] + arrows(path))
    note(f"way back in the packet    {arrows(reply.return_path)}")
    note("the packet took a shortest path of the LSDB" if same else "THE PACKET DID NOT TAKE A SHORTEST PATH OF THE LSDB")
    return same


def show_web(lab: Lab) -> None:
    say("an unmodified program: curl in pod-1, nginx in pod-4")
    note("$ curl http://4.b.svc.dmsc:8080/")
    done = lab.exec(CALLER, "curl", "-sS", "--max-time", "5", "http://4.b.svc.dmsc:8080/", check=False)
    note((done.stdout or done.stderr).strip())


def show_routes(lab: Lab, gateway: str) -> None:
    say(f"the routes {gateway} holds")
    note(lab.ctl(gateway, "show", "routes").stdout.rstrip())


def hints(name: str) -> None:
    say("look further")
    lab = f"tools/lab --name {name}"
    demo = "tools/demo" if name == "demo" else f"DMSC_DEMO_NAME={name} tools/demo"
    for command, what in (
            (f"{lab} status", "every process and link"),
            (f"{lab} ctl sr-1 show neighbors", "or lsdb, fib, paths, counters; on any node"),
            (f"{lab} ctl sg-1 explain B/4", "why a name goes where it goes"),
            (f"{lab} ctl sg-1 trace B/4", "hop by hop through the data plane"),
            (f"{lab} ctl spa-1 show audit", "who was granted what"),
            (f"{lab} kill sr-1", "then call again; start sr-1"),
            (f"{lab} ctl sg-1 watch paths", "what changes meanwhile, in another terminal"),
            (f"{lab} set sg-1--sr-2 delay=20ms", "a slow link; heal with delay=0ms"),
            (f"{demo} --shell pod-1", "then: dmsc-pod call B/4 hello")):
        note(f"{command:<50} {what}")
    say("stop")
    note(f"{demo} --stop")


def main(name: str) -> int:
    started = time.monotonic()
    try:
        lab = Lab.up(TOPOLOGY, name=name, tell=note)
        wait_for_names(lab)
        note(f"{len(lab.processes())} processes up and every name known after {time.monotonic() - started:.1f} s")
        good = show_call(lab)
        show_web(lab)
        show_routes(lab, lab.plan.topology.pods[CALLER].gateway)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    hints(name)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
