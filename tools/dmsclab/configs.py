"""Writes every daemon's configuration, the registry and the resolver files from a plan."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from .plan import SCSC_PORT, SPA_PORT, Plan
from .topology import Node, Pod

DNS_ADDRESS = "100.96.0.1"
ZONE = "svc.dmsc"

# An unmodified program for a pod: it knows nothing of names and answers who it is.
NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/web;
  proxy_temp_path {folder}/web;
  fastcgi_temp_path {folder}/web;
  uwsgi_temp_path {folder}/web;
  scgi_temp_path {folder}/web;
  server {{
    listen 127.0.0.1:{port};
    default_type text/plain;
    location / {{ return 200 "{pod} answers http://$http_host$request_uri\\n"; }}
    location /files/ {{ alias {folder}/files/; }}
  }}
}}
"""


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `over`; mappings are merged, everything else replaced."""
    out = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merge(out[key], value) if both else value
    return out


def _common(plan: Plan, node: Node) -> dict[str, Any]:
    return {"node": {"name": node.name, "state_dir": str(plan.data_dir(node.name)),
                     "run_dir": str(plan.run_dir(node.name))},
            "log": {"level": "info"}}


def _enrol(plan: Plan, node: Node) -> dict[str, Any]:
    """Only the writer issues identities, so it is asked first."""
    writer = plan.topology.writer()
    first = [f"{plan.management(writer.name)}:{SPA_PORT}"] if writer else []
    rest = [spa for spa in plan.spa_addresses(node.name) if spa not in first]
    return {"spa": first + rest, "token_file": str(plan.token_file(node.name))}


def _links(plan: Plan, node: str) -> list[dict[str, Any]]:
    out = []
    for wire, end in plan.wires_of(node):
        peer = wire.link.ends[1 - end]
        entry: dict[str, Any] = {"name": f"to-{peer}", "peer": peer, "interface": wire.interfaces[end],
                                 "local": wire.addresses[end], "remote": wire.addresses[1 - end],
                                 "metric": wire.link.metric}
        bandwidth = wire.link.bandwidth or wire.link.settings.get("rate")
        if bandwidth and bandwidth != "unlimited":
            entry["bandwidth"] = bandwidth
        if wire.link.liveness:
            entry["liveness"] = wire.link.liveness
        out.append(entry)
    return out


def _router(plan: Plan, node: Node) -> dict[str, Any]:
    return {**_common(plan, node), "enrol": _enrol(plan, node), "links": _links(plan, node.name),
            "spa": plan.spa_addresses(node.name), "scsc": plan.scsc_addresses()}


def _gateway(plan: Plan, node: Node) -> dict[str, Any]:
    pods = [{"name": pod.name, "netns": f"/run/netns/{plan.namespace(pod.name)}", "tun": "dmsc0",
             "address": f"{plan.pod_address(pod.name)}/30", "external": pod.external}
            for pod in plan.topology.pods.values() if pod.gateway == node.name]
    return {**_router(plan, node), "pods": {"namespaces": pods},
            "dataplane": {"unsealed": "by-name"},  # calls that every router matches by name: `dmsc-pod call --by-name`
            "names": {"zone": ZONE, "dns": DNS_ADDRESS}}


def _authority(plan: Plan, node: Node) -> dict[str, Any]:
    out = {**_common(plan, node), "domain": plan.topology.domain, "listen": f"0.0.0.0:{SPA_PORT}",
           "advertise": f"{plan.management(node.name)}:{SPA_PORT}"}
    writer = plan.topology.writer()
    if node.writer or writer is None:
        return {**out, "writer": "self", "registry_file": str(plan.folder(node.name) / "registry.yaml")}
    return {**out, "writer": f"{plan.management(writer.name)}:{SPA_PORT}", "enrol": _enrol(plan, node)}


def _center(plan: Plan, node: Node) -> dict[str, Any]:
    return {**_common(plan, node), "enrol": _enrol(plan, node), "listen": f"0.0.0.0:{SCSC_PORT}",
            "spa": plan.spa_addresses(node.name)}


GENERATORS = {"sr": _router, "sg": _gateway, "spa": _authority, "scsc": _center}


def registry(plan: Plan) -> dict[str, Any]:
    """What the writer loads at its first start: who there is, and who owns which names."""
    topology = plan.topology
    writer = topology.writer()
    nodes = [_member(plan, node) for node in topology.nodes.values()
             if node.role in GENERATORS and node is not writer]
    owned = [{"subtree": prefix, "owner": f"pod:{pod.name}@{pod.gateway}"}
             for pod in topology.pods.values() for prefix in pod.announce]
    rules = owned + topology.registry.prefixes
    return {"nodes": nodes, "pools": topology.registry.pools, "prefixes": rules}


def _member(plan: Plan, node: Node) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": node.name, "role": node.role, "token_file": str(plan.token_file(node.name))}
    ports = {"spa": SPA_PORT, "scsc": SCSC_PORT}
    if node.role in ports:
        entry["address"] = f"{plan.management(node.name)}:{ports[node.role]}"
    if node.spa:
        entry["nearest_spa"] = node.spa[0]
    return entry


def daemon_config(plan: Plan, node: Node) -> dict[str, Any]:
    return merge(GENERATORS[node.role](plan, node), node.config)


def write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def write_all(plan: Plan) -> None:
    """Every file the daemons read, below the state folder."""
    for node in plan.topology.nodes.values():
        plan.folder(node.name).mkdir(parents=True, exist_ok=True)
        _resolver(plan, node.name, "# no name server: nodes know each other by address\n")
        if node.role in GENERATORS:
            plan.data_dir(node.name).mkdir(parents=True, exist_ok=True)
            plan.run_dir(node.name).mkdir(parents=True, exist_ok=True)
            write(plan.config_file(node.name), daemon_config(plan, node))
    for pod in plan.topology.pods.values():
        _pod(plan, pod)
    writer = plan.topology.writer()
    if writer:
        write(plan.folder(writer.name) / "registry.yaml", registry(plan))


def _pod(plan: Plan, pod: Pod) -> None:
    plan.folder(pod.name).mkdir(parents=True, exist_ok=True)
    _resolver(plan, pod.name, f"nameserver {DNS_ADDRESS}\noptions timeout:1 attempts:2\n")
    if pod.web:
        (plan.folder(pod.name) / "nginx.conf").write_text(
            NGINX.format(folder=plan.folder(pod.name), port=pod.web, pod=pod.name))


def _resolver(plan: Plan, node: str, text: str) -> None:
    (plan.folder(node) / "resolv.conf").write_text(text)
    # Names come from /etc/hosts and the name server of the namespace, from nowhere else.
    (plan.folder(node) / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")


def binds(plan: Plan, node: str) -> list[tuple[str, str]]:
    """What hides the machine's resolver files in the mount namespace of a node or pod."""
    pairs = []
    for file in ("resolv.conf", "nsswitch.conf"):
        target = Path("/etc") / file
        if target.exists():
            pairs.append((str(plan.folder(node) / file), str(target.resolve())))
    return pairs
