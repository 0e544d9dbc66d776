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


class _Commands:
    """`ip` commands, collected so that a hundred nodes cost a hundred processes and not a thousand."""

    def __init__(self) -> None:
        self.links: list[str] = []                  # in no namespace: they make interfaces in two at once
        self.inside: dict[str, list[str]] = {}

    def within(self, namespace: str, *lines: str) -> None:
        self.inside.setdefault(namespace, []).extend(lines)

    def run(self) -> None:
        _batch(None, self.links)
        for namespace, lines in self.inside.items():
            _batch(namespace, lines)


def create(plan: Plan) -> None:
    """Everything between the nodes. The names are written to the state folder first, so that remove()
    finds what a crash leaves."""
    names = plan.namespaces()
    _record(plan).write_text("\n".join(names) + "\n")
    _batch(None, [f"netns add {name}" for name in names])
    hidden = [plan.namespace("mgmt")]
    if any(wire.link.emulate for wire in plan.wires):
        hidden.append(plan.namespace("linkem"))
    for name in hidden:
        run(enter(name, ["sysctl", "-qw", *QUIET]))
    commands = _Commands()
    for name in names:
        commands.within(name, "link set lo up")
    _management(plan, commands)
    for wire in plan.wires:
        _connect(plan, wire, commands)
    commands.run()
    for wire in plan.wires:
        for end, interface in zip(wire.link.ends, wire.interfaces):
            if wire.link.emulate:
                run(["ip", "netns", "exec", plan.namespace(end), "ethtool", "-K", interface, *NO_OFFLOADS])
    for node in plan.topology.nodes:
        # A node must not answer for its neighbours' addresses, nor forward by IP.
        set_sysctl(plan, node, "net.ipv4.ip_forward=0", "net.ipv4.conf.all.rp_filter=0")


def set_sysctl(plan: Plan, node: str, *settings: str) -> None:
    run(["ip", "netns", "exec", plan.namespace(node), "sysctl", "-qw", *settings])


def _management(plan: Plan, commands: _Commands) -> None:
    bridge = plan.namespace("mgmt")
    commands.within(bridge, "link add br0 type bridge forward_delay 0 stp_state 0", "link set br0 up")
    for number, node in enumerate(plan.topology.nodes, 1):
        name = plan.namespace(node)
        commands.links.append(f"link add m{number} netns {bridge} type veth peer name mgmt netns {name}")
        commands.within(bridge, f"link set m{number} master br0 up")
        commands.within(name, f"address add {plan.management(node)}/16 dev mgmt", "link set mgmt up")


def _connect(plan: Plan, wire: Wire, commands: _Commands) -> None:
    ends = [plan.namespace(end) for end in wire.link.ends]
    if wire.link.emulate:
        inner = plan.namespace("linkem")
        for end, outside, inside in zip(ends, wire.interfaces, wire.inner):
            commands.links.append(f"link add {inside} netns {inner} type veth peer name {outside} netns {end}")
            commands.within(inner, f"link set {inside} mtu {wire.link.mtu or 1500} up")
    else:
        commands.links.append(f"link add {wire.interfaces[0]} netns {ends[0]} type veth "
                              f"peer name {wire.interfaces[1]} netns {ends[1]}")
    for end, interface, address in zip(ends, wire.interfaces, wire.addresses):
        commands.within(end, f"link set {interface} mtu {wire.link.mtu or 1500}",
                        f"address add {address}/30 dev {interface}", f"link set {interface} up")


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
