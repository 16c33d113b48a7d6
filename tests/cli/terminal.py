"""Run `pgbudget` as a user does: in a process of its own, with its output in pipes or on an 80-column terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass

from tests.race import SECONDS
from tests.surroundings import NEUTRAL, is_inherited

COMMAND = [sys.executable, "-c", "from pgbudget.cli import main; main()"]
COLUMNS = 80


@dataclass(frozen=True)
class Done:
    """How a run of the command ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """The output without colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.out)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without what would choose a database or a style for the command."""
    kept = {name: value for name, value in os.environ.items() if not is_inherited(name)}
    return {**kept, **NEUTRAL, "TERM": "xterm-256color", **(extra or {})}


def run(*arguments: str, env: Mapping[str, str] | None = None, command: list[str] = COMMAND) -> Done:
    """Run it with pipes for its output."""
    done = subprocess.run(
        [*command, *arguments], env=environment(env), capture_output=True, text=True, timeout=SECONDS, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def run_on_terminal(
    *arguments: str, env: Mapping[str, str] | None = None, size: tuple[int, int] = (COLUMNS, 24), typed: str = ""
) -> Done:
    """Run it on a pseudo-terminal of so many columns and lines; `out` has both of its streams, and what was typed."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    os.write(ours, typed.encode())
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=environment(env), stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    chunks = []
    try:
        while chunk := os.read(ours, 65536):
            chunks.append(chunk)
    except OSError:  # how Linux says that nobody has the terminal open any more
        pass
    finally:
        os.close(ours)
    return Done(process.wait(SECONDS), b"".join(chunks).decode().replace("\r\n", "\n"), "")
