"""Running programs, and entering namespaces."""
from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Sequence

from .errors import LabError

# Inside the mount namespace that `ip netns exec` makes: file over file, then the program, same pid.
_ENTER = 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 126; shift 2; done; shift; exec "$@"'


def run(argv: Sequence[str | Path], *, check: bool = True, text_input: str | None = None,
        timeout: float | None = 60) -> subprocess.CompletedProcess[str]:
    """Runs a program and captures its output; LabError with its words if it fails."""
    words = [str(a) for a in argv]
    try:
        done = subprocess.run(words, input=text_input, capture_output=True, text=True, timeout=timeout,
                              check=False)
    except FileNotFoundError as error:
        raise LabError(f"{words[0]}: not found; tools/setup installs what the lab needs") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(words)}: no end after {timeout} s") from error
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(words)}: exit {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done


def enter(namespace: str, argv: Sequence[str | Path], binds: Sequence[tuple[str, str]] = ()) -> list[str]:
    """The command line that runs `argv` in a network namespace, in a mount namespace of its own where
    each pair of `binds` is (file, what it hides). Nothing outside is touched."""
    words = ["ip", "netns", "exec", namespace, "sh", "-c", _ENTER, "sh"]
    for source, target in binds:
        words += [source, target]
    return [*words, "--", *(str(a) for a in argv)]
