"""FRR (ospfd, isisd) and BIRD from the distribution, installed when first asked for; no service of theirs is
ever started, only processes inside the bench's namespaces."""
from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path

from dmsclab.errors import LabError
from dmsclab.run import run

from net import Net
from routes import RouteMonitor
from stack import Changes, Probe, Profile, Stack

FRR = Path("/usr/lib/frr")
POLICY = Path("/usr/sbin/policy-rc.d")


def install(packages: list[str]) -> None:
    """Debian packages; what they hold must not start as a service."""
    missing = [p for p in packages if run(["dpkg-query", "-W", "-f", "${db:Status-Status}", p], check=False).stdout
               != "installed"]
    if not missing:
        return
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
        get = [*environment, "apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
        if run(get, check=False, timeout=600).returncode != 0:
            run([*environment, "apt-get", "update", "-q"], timeout=300)
            run(get, timeout=600)
    finally:
        if ours:
            POLICY.unlink()


class _KernelStack(Stack):
    """A stack whose routes are in the kernel: a netlink monitor sees them change."""
    packages: list[str] = []
    redistributing = False          # the first node tells what prefixes are injected there

    def __init__(self, net: Net, profile: Profile, folder: Path) -> None:
        super().__init__(net, profile, folder)
        install(self.packages)
        self._monitor: RouteMonitor | None = None

    def _forget_routes(self) -> None:
        for node in self.net.routers:
            namespace = self.net.lab.plan.namespace(node)
            for protocol in ("ospf", "isis", "bird", "zebra"):
                run(["ip", "-n", namespace, "route", "flush", "proto", protocol], check=False)
            run(["ip", "-n", namespace, "nexthop", "flush"], check=False)

    def _watch(self) -> None:
        if self._monitor is not None:
            self._monitor.close()
        self._monitor = RouteMonitor(self.net)

    def _fresh_folder(self, node: str) -> Path:
        folder = self.folder / node
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def complete(self) -> float | None:
        assert self._monitor is not None
        others = len(self.net.routers) - 1
        if any(len(to - {node}) < others for node, to in self._monitor.reachable.items()):
            return None
        first: dict[tuple[str, str], float] = {}
        for event in self._monitor.since(0):
            if event.to is not None and event.to != event.node:
                first.setdefault((event.node, event.to), event.at)
        return max(first.values())

    def changes(self, since: float) -> Changes:
        assert self._monitor is not None
        events = self._monitor.since(since)
        at = [event.at - since for event in events]
        return Changes(min(at, default=None), max(at, default=None), len({event.node for event in events}))

    def probe(self, seconds: int) -> Probe:
        from dmscbench.baselines import program
        plan, net = self.net.lab.plan, self.net
        argv = [program("udpprobe"), plan.namespace(net.source), plan.namespace(net.target), net.address(net.source),
                net.address(net.target), "1000", str(seconds + 60)]
        return Probe(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True), stoppable=True)

    def stop(self) -> None:
        super().stop()
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
        self._forget_routes()


class _Frr(_KernelStack):
    packages = ["frr"]
    daemon: str                     # ospfd, isisd

    def _routing(self, node: str) -> list[str]:
        """The protocol daemon's configuration."""
        raise NotImplementedError

    def _daemons(self) -> list[str]:
        return ["zebra", *(["bfdd"] if self.profile.liveness_ms else []), self.daemon]

    def prepare(self) -> None:
        self.net.make_ip_network(True)
        self._forget_routes()
        for node in self.net.routers:
            folder = self._fresh_folder(node)
            (folder / "zebra.conf").write_text(f"hostname {node}\n")
            (folder / f"{self.daemon}.conf").write_text("\n".join(self._routing(node)) + "\n")
            interval = self.profile.liveness_ms
            (folder / "bfdd.conf").write_text(
                f"bfd\n profile fast\n  receive-interval {interval}\n  transmit-interval {interval}\n"
                "  detect-multiplier 3\n" if interval else "")
        self._give_away()

    def _give_away(self) -> None:
        """FRR's daemons run as their own user."""
        owner = pwd.getpwnam("frr")
        for root, folders, files in os.walk(self.folder):
            os.chmod(root, 0o777)
            for entry in folders + files:
                os.chown(os.path.join(root, entry), owner.pw_uid, owner.pw_gid)

    def start(self) -> None:
        self._watch()
        for node in self.net.routers:
            self._spawn(node, "zebra")
        for node in self.net.routers:
            # As frrinit.sh does: without zebra's socket the others would wait ten seconds for it.
            deadline = time.monotonic() + 20
            while not (self.folder / node / "zserv.api").exists():
                if time.monotonic() > deadline:
                    raise LabError(f"{node}: zebra does not listen")
                time.sleep(0.002)
            for daemon in self._daemons()[1:]:
                self._spawn(node, daemon)

    def _spawn(self, node: str, daemon: str) -> None:
        folder = self.folder / node
        argv = [str(FRR / daemon), "-f", f"{folder}/{daemon}.conf", "-i", f"{folder}/{daemon}.pid", "-z",
                f"{folder}/zserv.api", "--vty_socket", str(folder), "-u", "frr", "-g", "frr", "-A", "127.0.0.1",
                "-P", "0", "--log", f"file:{folder}/{daemon}.log", "--log-level", "errors"]
        self.net.spawn(node, daemon, argv + (["--bfdctl", f"{folder}/bfdd.sock"] if daemon == "bfdd" else []), folder)


class FrrOspf(_Frr):
    name, daemon = "frr-ospf", "ospfd"

    def _routing(self, node: str) -> list[str]:
        profile, out = self.profile, [f"hostname {node}"]
        for interface in self.net.interfaces(node):
            out += [f"interface {interface}", " ip ospf area 0", " ip ospf network point-to-point"]
            if profile.hello_s:
                out += [f" ip ospf hello-interval {profile.hello_s}", f" ip ospf dead-interval {profile.hold_s}"]
            if profile.liveness_ms:
                out += [" ip ospf bfd", " ip ospf bfd profile fast"]
        out += ["interface lo", " ip ospf area 0", "router ospf", f" ospf router-id {self.net.address(node)}"]
        if self.redistributing and node == self.net.routers[0]:
            out += [" redistribute kernel"]
        if profile.tuned:
            out += [" timers throttle spf 10 50 1000", " timers throttle lsa all 50", " timers lsa min-arrival 20"]
        return out


class FrrIsis(_Frr):
    name, daemon = "frr-isis", "isisd"

    def _routing(self, node: str) -> list[str]:
        profile, out = self.profile, [f"hostname {node}"]
        for interface in self.net.interfaces(node):
            out += [f"interface {interface}", " ip router isis 1", " isis network point-to-point",
                    " isis circuit-type level-2-only"]
            if profile.hello_s and profile.hold_s:
                out += [f" isis hello-interval {profile.hello_s}",
                        f" isis hello-multiplier {profile.hold_s // profile.hello_s}"]
            if profile.liveness_ms:
                out += [" isis bfd", " isis bfd profile fast"]
        number = self.net.routers.index(node) + 1
        out += ["interface lo", " ip router isis 1", " isis passive", "router isis 1",
                f" net 49.0000.0000.0000.{number:04x}.00", " is-type level-2-only", " metric-style wide"]
        if self.redistributing and node == self.net.routers[0]:
            out += [" redistribute ipv4 kernel level-2"]
        if profile.tuned:
            out += [" lsp-gen-interval 1", " spf-delay-ietf init-delay 10 short-delay 50 long-delay 1000 "
                    "holddown 2000 time-to-learn 200"]
        return out


class BirdOspf(_KernelStack):
    name, packages = "bird-ospf", ["bird2"]

    def prepare(self) -> None:
        self.net.make_ip_network(True)
        self._forget_routes()
        for node in self.net.routers:
            (self._fresh_folder(node) / "bird.conf").write_text(self._config(node))

    def _config(self, node: str) -> str:
        profile = self.profile
        timers = f"hello {profile.hello_s}; dead {profile.hold_s};" if profile.hello_s else ""
        liveness = " bfd yes;" if profile.liveness_ms else ""
        return "\n".join([
            'log "bird.log" { warning, error, fatal, bug };',
            f"router id {self.net.address(node)};",
            "protocol device { }",
            "protocol kernel { merge paths yes; ipv4 { export all; import none; }; }",
            f'protocol bfd {{ interface "to-*" {{ interval {profile.liveness_ms} ms; multiplier 3; }}; }}'
            if profile.liveness_ms else "",
            "protocol ospf v2 o1 {", " tick 1;" if profile.tuned else "",
            " ipv4 { import all; export where source = RTS_STATIC; };",
            f' area 0 {{ interface "lo" {{ stub yes; }}; interface "to-*" {{ type ptp; {timers}{liveness} }}; }};',
            "}", "protocol static injected { ipv4; }", ""])

    def start(self) -> None:
        self._watch()
        for node in self.net.routers:
            folder = self.folder / node
            self.net.spawn(node, "bird", ["/usr/sbin/bird", "-f", "-c", f"{folder}/bird.conf", "-s",
                                          f"{folder}/bird.ctl", "-P", f"{folder}/bird.pid"], folder)
