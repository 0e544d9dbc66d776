"""A machine whose PID 1 is systemd, in namespaces of its own, to test the units for real.

Its root is an overlay on this machine's: what is installed into it or written by it is gone at the
end. /tmp, /run and /var are empty and its own, because systemd's start-up clears them; its cgroups are
below one made for it; its network has loopback only.
"""
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

# Run in new mount, PID, network and UTS namespaces, already inside its own cgroup; $1 is the folder
# of the machine, $2 the units to mask. Nothing is mounted before propagation is private.
BOOT = r"""
set -e
mount --make-rprivate /
base=$1
mount -t tmpfs -o mode=0755 machine "$base/scratch"
mkdir "$base/scratch/upper" "$base/scratch/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/scratch/upper,workdir=$base/scratch/work" "$base/root"
root=$base/root
for dir in tmp run var; do mount -t tmpfs -o mode=0755 "$dir" "$root/$dir"; done
chmod 1777 "$root/tmp"
mkdir -p "$root/var/lib" "$root/var/log" "$root/var/tmp" "$root/run/lock"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=0755 dev "$root/dev"
for node in null zero full random urandom tty; do
  touch "$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/net"
mknod -m 0666 "$root/dev/net/tun" c 10 200   # the mode udev gives it
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
touch "$root/dev/console"
cp -a "$base/stage/." "$root/"
units=$root/run/systemd/system
mkdir -p "$units"
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\n' > "$units/machine.target"
for unit in $2; do ln -s /dev/null "$units/$unit"; done
: > "$root/etc/fstab"
tr -d - < /proc/sys/kernel/random/uuid > "$root/etc/machine-id"   # an empty one would mean first boot
chroot "$root" systemd-sysusers dmsc.conf
chroot "$root" systemd-tmpfiles --create dmsc.conf
ip link set lo up
# After this nothing of the real root is left to reach.
cd "$root"
mkdir oldroot
pivot_root . oldroot
umount -l /oldroot
rmdir /oldroot
exec env -i container=dmsc-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=machine.target --log-target=journal --show-status=no
"""

# Units of this machine that a test needs none of, and that would wait for hardware or the network.
MASKED = ["systemd-udevd.service", "systemd-udev-trigger.service", "systemd-networkd.service",
          "systemd-networkd-wait-online.service", "systemd-resolved.service", "systemd-timesyncd.service",
          "networking.service", "systemd-random-seed.service", "systemd-update-utmp.service",
          "systemd-sysctl.service", "systemd-modules-load.service", "systemd-logind.service",
          "apparmor.service", "dbus.service", "dbus.socket", "apt-daily.timer", "apt-daily-upgrade.timer",
          "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer", "systemd-tmpfiles-clean.timer"]


class Machine:
    """Boots at construction; `close()` (or the end of `with`) removes every trace of it."""

    def __init__(self, install_from: Path) -> None:
        # Not below /tmp: the machine has its own there, and its root shows the real one's folders.
        self.base = Path(tempfile.mkdtemp(prefix="dmsc-machine-", dir="/var/tmp"))
        self.cgroup_name = self.base.name
        self.process: subprocess.Popen | None = None
        try:
            for name in ("scratch", "root", "stage"):
                (self.base / name).mkdir()
            self._stage(install_from)
            self._boot()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- life ------------------------------------------------------------------------------------

    def _stage(self, build: Path) -> None:
        """What the package would install, below base/stage."""
        subprocess.run(["cmake", "--install", build, "--prefix", "/usr"], check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "DESTDIR": str(self.base / "stage")})

    def _boot(self) -> None:
        outer = (
            "set -e; mount --make-rprivate /; mkdir -p \"$1/cgroup\"; "
            "mount -t cgroup2 cgroup2 \"$1/cgroup\"; mkdir -p \"$1/cgroup/$2\"; "
            "echo $$ > \"$1/cgroup/$2/cgroup.procs\"; umount \"$1/cgroup\"; "
            "exec unshare --mount --pid --fork --kill-child --cgroup --net --uts --ipc sh -c \"$3\" boot \"$1\" \"$4\"")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", outer, "outer", str(self.base), self.cgroup_name, BOOT,
             " ".join(MASKED)],
            stdin=subprocess.DEVNULL)
        self.pid1 = self._find_pid1()
        self.wait_until(lambda: self.run("systemctl", "is-active", "machine.target").returncode == 0, 60,
                        "the machine does not boot")

    def _find_pid1(self) -> int:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"systemd ended with {self.process.returncode}")
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            for child in children:
                if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return int(child)
            time.sleep(0.02)
        raise RuntimeError("systemd does not start")

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)   # --kill-child takes systemd along, and all below
        if self.process:
            self.process.wait(timeout=30)
        # The cgroup is visible only in a mount of its own.
        subprocess.run(
            ["unshare", "--mount", "sh", "-c",
             "mount --make-rprivate /; mount -t cgroup2 cgroup2 \"$1/scratch\" || exit 0; cd \"$1/scratch/$2\" || exit 0; "
             "for try in $(seq 100); do find . -depth -mindepth 1 -type d -exec rmdir {} + 2>/dev/null; "
             "cd ..; rmdir \"$2\" 2>/dev/null && exit 0; cd \"$2\"; sleep 0.1; done; exit 1",
             "clean", str(self.base), self.cgroup_name], check=True)
        shutil.rmtree(self.base)

    # ---- use -------------------------------------------------------------------------------------

    def run(self, *command: str, check: bool = False, timeout: float = 60) -> subprocess.CompletedProcess:
        """A command as root inside."""
        done = subprocess.run(["nsenter", "-t", str(self.pid1), "-m", "-p", "-n", "-u", "-i", "-C", "-r", "-w",
                               *command], capture_output=True, text=True, timeout=timeout)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr}{done.stdout}")
        return done

    def path(self, inside: str) -> Path:
        return Path(f"/proc/{self.pid1}/root{inside}")

    def write(self, inside: str, text: str) -> None:
        self.path(inside).write_text(text)

    def show(self, unit: str, key: str) -> str:
        return self.run("systemctl", "show", "-P", key, unit, check=True).stdout.strip()

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "-u", unit, "-o", "short-full", "--no-pager").stdout

    @staticmethod
    def wait_until(condition, seconds: float, otherwise: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(otherwise)
            time.sleep(0.05)
