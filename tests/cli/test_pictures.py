"""Every look at every state of a database, at 80 and at 200 columns: it fits, and nothing reaches the terminal raw."""

from __future__ import annotations

import unicodedata
from typing import Any

import psycopg
import pytest

from tests.cli.command import invoke, picture
from tests.cli.states import STATES
from tests.cli.terminal import COLUMNS

Connection = psycopg.Connection[Any]
LOOKS = (["status"], ["watch", "--count", "1"], ["holds", "--limit", "100"], ["limits"], ["doctor"])


@pytest.mark.parametrize("state", STATES)
def test_it_fits_and_nothing_moves_the_cursor(dsn: str, db: Connection, state: str) -> None:
    STATES[state](db)
    for width in (COLUMNS, 200):
        for look in LOOKS:
            done = invoke(*look, dsn=dsn, width=width)
            assert done.code in (0, 1), done.err
            lines = (done.out + done.err).splitlines()
            assert lines
            assert max(map(len, lines)) <= width, look
            raw = {character for line in lines for character in line if unicodedata.category(character)[0] == "C"}
            assert raw == set(), look


def test_no_terminal_is_too_narrow(dsn: str, db: Connection) -> None:
    STATES["extreme"](db)
    for look in LOOKS:
        assert invoke(*look, dsn=dsn, width=6).code in (0, 1)


PICTURES = {
    ("status", "over"): """
  ████████████████████████████████████████████████████████████████████████████
           ▲ soft 20.00  ▲ hard 50.00           ▲ limit 100.00

  ■ settled 162.20
  ■ held      0.00
  ■ free    -62.20   162.2% used
""",
    ("status", "broken"): """
╭─ The limits are broken, so every reserve is refused ─────────────────────────╮
│ on_expiry must be "release" or "keep"                                        │
╰──────────────────────────────────────────────────────────────────────────────╯
  ■ settled 3.00
  ■ held    0.00
  ■ free       -
""",
    ("limits", "empty"): """
  daily_soft_cap   20.00   escalates, refuses nothing
  daily_hard_cap   50.00   escalates, refuses nothing
  emergency_kill   100.00   the limit
  timezone         UTC
  reservation_ttl  1:00:00   how long a hold counts
  on_expiry        release   what becomes of a lapsed hold's money
  exempt_services  architect   refused by a freeze alone
""",
    ("holds", "frozen"): """
service, hold                         estimate  open for  lapses in
svc                                       3.00       SPAN     SPAN
ID

1 open, 3.00 held
""",
}


@pytest.mark.parametrize(("look", "state"), PICTURES)
def test_a_picture(dsn: str, db: Connection, look: str, state: str) -> None:
    STATES[state](db)
    out = picture(invoke(look, dsn=dsn).out)
    lines = [line.rstrip() for line in out.splitlines()]
    wanted = PICTURES[look, state].strip("\n").splitlines()
    assert lines[-len(wanted) :] == wanted
