"""sgctl, srctl, spactl and scscctl as an operator meets them, against a daemon that is only the skeleton."""
from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from dmsclab.programs import build_dir

OK, NEGATIVE, USAGE, UNREACHABLE, REFUSED = range(5)


class Daemon:
    """testd in a directory of its own; started when this returns, ended by stop()."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run_dir, self.config = folder, folder / "run", folder / "testd.yaml"
        self.write(answer=7)
        notify = folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(notify))
            manager.settimeout(20)
            self.process = subprocess.Popen(
                [build_dir() / "tests" / "testd", "--config", self.config], stderr=subprocess.DEVNULL,
                env={**os.environ, "NOTIFY_SOCKET": str(notify)})
            while b"READY=1" not in manager.recv(4096):
                pass

    def write(self, answer: int) -> None:
        self.config.write_text(f"node: {{name: n-1, run_dir: {self.run_dir}}}\nanswer: {answer}\n")

    def ctl(self, *arguments: str, program: str = "srctl") -> subprocess.CompletedProcess:
        return subprocess.run([build_dir() / "tools" / program, "--run-dir", str(self.run_dir), *arguments],
                              capture_output=True, text=True, timeout=60)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    testd = Daemon(tmp_path)
    try:
        yield testd
    finally:
        testd.stop()


def test_tables_for_people_and_json_for_programs(daemon: Daemon) -> None:
    table = daemon.ctl("show", "answers")
    assert (table.returncode, table.stdout) == (OK, "name  answer\nb          7\na          8\n")
    reply = json.loads(daemon.ctl("-o", "json", "show", "answers").stdout)
    assert reply == {"schema": 1, "daemon": "testd", "node": "n-1", "topic": "answers",
                     "rows": [{"name": "b", "answer": 7}, {"name": "a", "answer": 8}]}


def test_options_may_follow_the_verb(daemon: Daemon) -> None:
    assert json.loads(daemon.ctl("status", "-o", "json").stdout)["value"]["state"] == "ready"


def test_an_unknown_topic_lists_the_known_ones(daemon: Daemon) -> None:
    done = daemon.ctl("show", "nonsense")
    assert done.returncode == NEGATIVE
    assert done.stderr == "srctl: testd has no topic 'nonsense': it has answers events explain metrics ping status\n"


def test_a_negative_answer_is_exit_code_1(daemon: Daemon) -> None:
    assert daemon.ctl("explain", "A/1").returncode == OK
    refused = daemon.ctl("explain", "B/4")
    assert (refused.returncode, refused.stderr) == (NEGATIVE, "srctl: no route to 'B/4'\n")


def test_ping_counts_answers(daemon: Daemon) -> None:
    good = daemon.ctl("ping", "A/1", "-c", "2", "-i", "0.01")
    assert good.returncode == OK
    assert good.stdout.splitlines()[0] == "answered seq=1 rtt=1.25ms"
    assert "2 sent, 2 answered, 0% lost" in good.stdout
    bad = daemon.ctl("ping", "B/4", "-c", "2", "-i", "0.01")
    assert bad.returncode == NEGATIVE
    assert "2 sent, 0 answered, 100% lost" in bad.stdout


def test_drain_undrain_and_a_refusal(daemon: Daemon) -> None:
    assert daemon.ctl("drain", "upgrade").stdout == "drained: upgrade\n"
    assert json.loads(daemon.ctl("status", "-o", "json").stdout)["value"]["drained"] is True
    assert daemon.ctl("undrain").stdout == "serving again\n"
    assert daemon.ctl("drain", "--soft", "--link", "to-sr-1", "fiber").stdout == "softly drained link to-sr-1: fiber\n"
    assert daemon.ctl("drain", "--off", "--link", "to-sr-1").stdout == "link to-sr-1 serving again\n"
    assert daemon.ctl("drain", "--soft", "--hard").returncode == USAGE
    refused = daemon.ctl("drain", "never")
    assert (refused.returncode, refused.stderr) == (REFUSED, "srctl: it must not be drained\n")


def test_reload_tells_what_changed_and_refuses_a_bad_file(daemon: Daemon) -> None:
    assert daemon.ctl("reload").stdout == "nothing changed\n"
    daemon.write(answer=8)
    assert daemon.ctl("reload").stdout == "answer 8\n"
    daemon.write(answer=800)
    bad = daemon.ctl("reload")
    assert bad.returncode == REFUSED
    assert bad.stderr == f"srctl: {daemon.config}:2:9: answer: 800 is not between 1 and 99\n"
    assert json.loads(daemon.ctl("status", "-o", "json").stdout)["value"]["answer"] == 8


def test_log_level(daemon: Daemon) -> None:
    assert daemon.ctl("log-level", "debug").returncode == OK
    assert json.loads(daemon.ctl("status", "-o", "json").stdout)["value"]["log_level"] == "debug"
    assert daemon.ctl("log-level", "loud").returncode == USAGE


def test_watch_shows_the_change(daemon: Daemon) -> None:
    watcher = subprocess.Popen(
        [build_dir() / "tools" / "srctl", "--run-dir", daemon.run_dir, "-o", "json", "watch", "answers", "-c", "2"],
        stdout=subprocess.PIPE, text=True)
    assert json.loads(watcher.stdout.readline())["rows"][0]["answer"] == 7
    daemon.write(answer=9)
    assert daemon.ctl("reload").returncode == OK
    assert json.loads(watcher.stdout.readline())["rows"][0]["answer"] == 9
    assert watcher.wait(timeout=20) == OK


def test_events_are_the_log(daemon: Daemon) -> None:
    daemon.ctl("reload")
    assert 'changes="nothing changed"' in daemon.ctl("show", "events").stdout


@pytest.mark.parametrize("program,name", [("srctl", "srd"), ("sgctl", "sgd"), ("spactl", "spad"), ("scscctl", "scscd")])
def test_a_daemon_that_is_not_there(tmp_path: Path, program: str, name: str) -> None:
    done = subprocess.run([build_dir() / "tools" / program, "--run-dir", tmp_path, "status"],
                          capture_output=True, text=True)
    assert done.returncode == UNREACHABLE
    assert done.stderr == (f"{program}: {name} is not answering on {tmp_path}/inspect.sock: "
                           f"no such file or directory: is it running? systemctl status {name}\n")


def test_a_dead_socket_is_told_from_none(daemon: Daemon) -> None:
    daemon.process.kill()
    daemon.process.wait()
    done = daemon.ctl("status")
    assert done.returncode == UNREACHABLE
    assert "connection refused" in done.stderr


def test_wrong_usage_is_exit_code_2(daemon: Daemon) -> None:
    for arguments in [(), ("show",), ("status", "--nonsense"), ("-o", "xml", "status"), ("ping", "A/1", "-c", "x")]:
        assert daemon.ctl(*arguments).returncode == USAGE, arguments
    assert daemon.ctl("ping", "A/1", program="spactl").returncode == USAGE   # spad forwards nothing


def test_completion_is_a_script_bash_accepts(daemon: Daemon) -> None:
    script = daemon.ctl("completion", "bash").stdout
    check = subprocess.run(
        ["bash", "-c", script + "\nCOMP_WORDS=(srctl sho); COMP_CWORD=1; _srctl; echo ${COMPREPLY[@]}"],
        capture_output=True, text=True)
    assert check.stdout == "show\n" and check.stderr == ""


def test_sigterm_ends_it_with_exit_code_0(daemon: Daemon) -> None:
    assert daemon.stop() == 0
