"""The command line of the lab."""
from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from pathlib import Path

from .errors import LabError
from .lab import BASE, Lab

EPILOG = """
Links are named A--B. settings: delay=20ms jitter=2ms loss=1% duplicate=1% rate=10Mbit/s queue=64kB burst=3kB
reorder=on|off. The lab is the only one that is up, unless --name (or DMSC_LAB) says which.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/lab", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default=os.environ.get("DMSC_LAB"), help="which lab")
    parser.add_argument("--state", type=Path, help=f"its state folder (default {BASE}/NAME)")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str, *arguments: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text)
        for argument in arguments:
            sub.add_argument(argument)
        return sub

    up = verb("up", "bring a topology up (a file, or grid:ROWSxCOLUMNS, line:NODES), replacing the lab of "
              "that name", "file")
    up.add_argument("--only", nargs="+", metavar="NODE", help="start just these nodes and pods")
    down = verb("down", "end everything of a lab, also after a crash")
    down.add_argument("lab", nargs="?")
    verb("list", "the labs that are up")
    verb("status", "every program and link of the lab")
    for name, text in (("exec", "run a program inside a node or pod"),
                       ("ctl", "sgctl, srctl, spactl or scscctl of a node")):
        verb(name, text, "node").add_argument("argv", nargs=argparse.REMAINDER)
    verb("shell", "a shell inside a node or pod", "node")
    kill = verb("kill", "signal a node, a pod or one program (pod-1/serve)", "node")
    kill.add_argument("signal", nargs="?", default="-KILL", help="-KILL (default), -TERM, -STOP, ...")
    verb("start", "start again what has ended", "node")
    restart = verb("restart", "end and start again", "node")
    restart.add_argument("signal", nargs="?", default="-TERM")
    cut = verb("cut", "let nothing pass a link", "link")
    cut.add_argument("--one-way", metavar="NODE", help="only what this end sends")
    verb("heal", "undo cut", "link")
    change = verb("set", "change a link's emulation", "link")
    change.add_argument("settings", nargs="+", metavar="key=value")
    change.add_argument("--one-way", metavar="NODE", help="only what this end sends")
    logs = verb("logs", "print a program's log", "node")
    logs.add_argument("-f", "--follow", action="store_true")
    return parser


def _signal(text: str) -> int:
    name = text.lstrip("-")
    if name.isdigit():
        return int(name)
    try:
        return signal.Signals["SIG" + name.removeprefix("SIG")]
    except KeyError as error:
        raise LabError(f"unknown signal '{text}'") from error


def _attach(options: argparse.Namespace) -> Lab:
    name = options.name
    if name is None:
        names = Lab.names()
        if len(names) != 1:
            raise LabError("no lab is up" if not names else f"which lab? --name {' | '.join(names)}")
        name = names[0]
    return Lab.attach(name, options.state)


def _status(lab: Lab) -> None:
    print(f"lab {lab.plan.name}   state {lab.plan.state}")
    print(f"{'PROGRAM':<16} {'STATE':<9} {'PID':>7} {'STARTS':>6}  STATUS")
    for name, p in lab.processes().items():
        text = p["status"] if p["pid"] else f"exit {p['exit']}"
        print(f"{name:<16} {p['state']:<9} {p['pid'] or '-':>7} {p['starts']:>6}  {text}")
    links = lab.emulator.show()
    if links:
        print(f"{'LINK':<16} {'FROM':<9} {'FRAMES':>9} {'LOST':>6} {'TWICE':>6} {'CUT':>6} {'FULL':>6}  SETTINGS")
    for link in links:
        for way, sender in zip(link["ways"], lab.plan.topology.link(link["name"]).ends):
            print(f"{link['name']:<16} {sender:<9} {way['frames']:>9} {way['lost']:>6} {way['duplicated']:>6} {way['cut']:>6} "
                  f"{way['queue_full']:>6}  {_unusual(way['settings'])}")


def _unusual(settings: str) -> str:
    """The settings that are not the emulator's defaults."""
    plain = {"delay=0ms", "jitter=0ms", "loss=0%", "duplicate=0%", "rate=unlimited", "queue=262144B", "burst=0B",
             "reorder=off", "cut=off"}
    return " ".join(word for word in settings.split() if word not in plain) or "-"


def _enter(lab: Lab, node: str, argv: list[str]) -> int:
    environment = {**lab.exec_environment(node), "DMSC_LAB_NODE": node}
    words = lab.command(node, argv)
    os.execvpe(words[0], words, environment)


def _rcfile(lab: Lab, node: str) -> Path:
    """Makes the prompt say where one is."""
    path = lab.plan.folder(lab.known(node)) / "bashrc"
    path.write_text(f"[ -f ~/.bashrc ] && . ~/.bashrc\nPS1='[{lab.plan.name} {node}] \\w \\$ '\n")
    return path


def _run(options: argparse.Namespace) -> int:
    verb = options.verb
    if verb == "list":
        for name in Lab.names():
            print(name)
        return 0
    if os.geteuid() != 0:
        raise LabError("needs root: it makes network namespaces")
    if verb == "up":
        lab = Lab.up(options.file, options.name, options.state, options.only, tell=print)
        print(f"lab {lab.plan.name} is up; tools/lab status, tools/lab down")
        return 0
    if verb == "down":
        name = options.lab or options.name
        if name is None and options.state is None:
            name = _attach(options).plan.name
        if not Lab.down(name, options.state):
            raise LabError(f"no lab '{name}'")
        return 0
    lab = _attach(options)
    if verb == "status":
        _status(lab)
    elif verb == "exec":
        return _enter(lab, options.node, options.argv)
    elif verb == "shell":
        return _enter(lab, options.node, ["bash", "--rcfile", str(_rcfile(lab, options.node))])
    elif verb == "ctl":
        words = lab.ctl_command(options.node, options.argv)
        os.execv(words[0], words)
    elif verb == "kill":
        lab.send(options.node, _signal(options.signal))
    elif verb == "start":
        lab.start(options.node)
    elif verb == "restart":
        lab.restart(options.node, _signal(options.signal))
    elif verb == "cut":
        lab.cut(options.link, options.one_way)
    elif verb == "heal":
        lab.heal(options.link)
    elif verb == "set":
        pairs = dict(setting.partition("=")[::2] for setting in options.settings)
        lab.set(options.link, options.one_way, **pairs)
    elif verb == "logs":
        path = str(lab.plan.log_file(lab.programs_of(options.node)[0]))
        os.execvp("tail", ["tail", "-n", "+1", *(["-f"] if options.follow else []), path])
    return 0


def main(arguments: list[str]) -> int:
    # argparse takes -KILL for an option: hand it over as a plain word.
    plain = re.compile(r"-[A-Z0-9]+$") if {"kill", "restart"} & set(arguments[:5]) else None
    words = [w.lstrip("-") if plain and plain.match(w) else w for w in arguments]
    try:
        return _run(_parser().parse_args(words))
    except LabError as error:
        print(f"tools/lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
