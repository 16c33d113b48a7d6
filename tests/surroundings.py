"""What a run inherits from whoever started it: no test may rest on it, so all of it is made the same here.

A shell ignores SIGINT for what it starts in the background, and `nohup` SIGHUP; a child process inherits that, and no
signal that a test sends would ever reach it. Libpq, the locale, the time zone and the colours of a terminal are chosen
by the environment.
"""

from __future__ import annotations

import os
import signal
import time

SERVER = ("PG", "PG_BIN")
"""What chooses the server of this run, and so is not an accident."""

CLUSTER = "CLUSTER"
"""The variable that names the data directory of this run's server, where it is not to make one."""

STYLE = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "TERM", "COLORTERM")

NEUTRAL = {"LC_ALL": "C.UTF-8", "TZ": "UTC"}


def is_inherited(name: str) -> bool:
    """Whether a variable of the environment would choose a database, a language, a clock or a style for what is run."""
    return (
        (name.startswith("PG") and name not in SERVER)
        or name.startswith(("LC_", "PGBUDGET_", "YOYO_"))
        or name in (*STYLE, "DATABASE_URL", "LANG", "LANGUAGE", "TZ")
    )


def forget() -> None:
    """Leave nothing of it. Called once in each process of a run, by its main thread."""
    for name in filter(is_inherited, list(os.environ)):
        del os.environ[name]
    os.environ.update(NEUTRAL)
    time.tzset()
    os.umask(0o022)
    _ignore_in_this_process_alone()


def _ignore_in_this_process_alone() -> None:
    """A signal that is ignored is ignored in every child; one that is handled has its default there."""
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN and number not in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
