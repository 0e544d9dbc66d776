"""Makes and removes the namespaces, links and addresses of a plan."""
from __future__ import annotations

from pathlib import Path

from .plan import Plan, Wire
from .processes import ProcessId, end, identify
from .run import enter, run

NETNS = Path("/run/netns")
# Whole frames with real checksums: what a packet socket carries must be what the wire would.
NO_OFFLOADS = ["tx", "off", "tso", "off", "gso", "off", "gro", "off"]
QUIET = ["net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"]


def _batch(namespace: str | None, lines: list[str]) -> None:
    """`ip` commands, all or an error that names the line."""
    if lines:
        inside = ["-n", namespace] if namespace else []
        run(["ip", *inside, "-batch", "-"], text_input="\n".join(lines) + "\n")


def _record(plan: Plan) -> Path:
    return plan.state / "namespaces"


def create(plan: Plan) -> None:
    """Everything between the nodes. The names are written to the state folder first, so that remove()
    finds what a crash leaves."""
    names = plan.namespaces()
    _record(plan).write_text("\n".join(names) + "\n")
    for name in names:
        run(["ip", "netns", "add", name])
    hidden = [plan.namespace("mgmt")]
    if any(wire.link.emulate for wire in plan.wires):
        hidden.append(plan.namespace("linkem"))
    for name in hidden:
        run(enter(name, ["sysctl", "-qw", *QUIET]))
    for name in names:
        _batch(name, ["link set lo up"])
    _management(plan)
    for wire in plan.wires:
        _connect(plan, wire)
    for name in [plan.namespace(n) for n in plan.topology.nodes]:
        # A node must not answer for its neighbours' addresses, nor forward by IP.
        run(enter(name, ["sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv4.conf.all.rp_filter=0"]))


def _management(plan: Plan) -> None:
    bridge = plan.namespace("mgmt")
    _batch(bridge, ["link add br0 type bridge forward_delay 0 stp_state 0", "link set br0 up"])
    for number, node in enumerate(plan.topology.nodes, 1):
        name = plan.namespace(node)
        _batch(None, [f"link add m{number} netns {bridge} type veth peer name mgmt netns {name}"])
        _batch(bridge, [f"link set m{number} master br0 up"])
        _batch(name, [f"address add {plan.management(node)}/16 dev mgmt", "link set mgmt up"])


def _connect(plan: Plan, wire: Wire) -> None:
    ends = [plan.namespace(end) for end in wire.link.ends]
    if wire.link.emulate:
        inner = plan.namespace("linkem")
        for end, outside, inside in zip(ends, wire.interfaces, wire.inner):
            _batch(None, [f"link add {inside} netns {inner} type veth peer name {outside} netns {end}"])
            _batch(inner, [f"link set {inside} mtu {wire.link.mtu or 1500} up"])
            run(["ip", "netns", "exec", end, "ethtool", "-K", outside, *NO_OFFLOADS])
    else:
        _batch(None, [f"link add {wire.interfaces[0]} netns {ends[0]} type veth "
                      f"peer name {wire.interfaces[1]} netns {ends[1]}"])
    for end, interface, address in zip(ends, wire.interfaces, wire.addresses):
        _batch(end, [f"link set {interface} mtu {wire.link.mtu or 1500}",
                     f"address add {address}/30 dev {interface}", f"link set {interface} up"])


def inhabitants(namespace: str) -> list[ProcessId]:
    """The processes that live in one of our namespaces."""
    done = run(["ip", "netns", "pids", namespace], check=False)
    found = [identify(int(pid)) for pid in done.stdout.split()]
    return [process for process in found if process is not None]


def remove(state: Path) -> None:
    """Removes what create() recorded in `state`, with every process still in there."""
    record = state / "namespaces"
    if not record.exists():
        return
    names = [name for name in record.read_text().split() if (NETNS / name).exists()]
    end([process for name in names for process in inhabitants(name)], patience=2)
    for name in names:
        run(["ip", "netns", "delete", name])
    record.unlink()


def link_state(plan: Plan, wire: Wire, up: bool) -> None:
    """Carrier loss at both ends of a link: loud, where the emulator's cut is silent."""
    end = plan.namespace(wire.link.ends[0])
    _batch(end, [f"link set {wire.interfaces[0]} {'up' if up else 'down'}"])
