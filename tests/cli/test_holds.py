"""`pgbudget holds`: which of the open holds are listed, in what order."""

from __future__ import annotations

import json
import re
from typing import Any

import psycopg
import pytest

from pgbudget import Budget
from tests.cli.command import invoke, picture
from tests.cli.states import NASTY, healthy

Connection = psycopg.Connection[Any]


def listed(dsn: str, *options: str) -> tuple[int, str, list[str]]:
    """How many match, what they hold, and the services of those that are listed."""
    done = invoke("holds", "--json", *options, dsn=dsn)
    assert (done.code, done.err) == (0, "")
    answer = json.loads(done.out)
    return answer["count"], answer["held"], [hold["service_name"] for hold in answer["holds"]]


def test_the_oldest_come_first_and_the_rest_is_counted(dsn: str, db: Connection) -> None:
    healthy(db)
    count, held, services = listed(dsn)
    assert (count, held) == (30, "46.5")
    assert services == [f"service {n}" for n in range(1, 21)]
    assert listed(dsn, "--limit", "1000")[2] == [f"service {n}" for n in range(1, 31)]
    lines = invoke("holds", "--limit", "2", dsn=dsn).out.splitlines()
    assert [lines[1].split()[:3], lines[3].split()[:3]] == [["service", "1", "0.10"], ["service", "2", "0.20"]]
    assert lines[-1] == "30 open, 46.50 held, 28 of them not shown (--limit)"


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--service", "service 7"), 1),
        (("--service", "service"), 0),
        (("--metadata", '{"user": "ada"}'), 15),
        (("--metadata", '{"user": "eve"}'), 0),
        (("--older-than", "1h"), 1),
        (("--older-than", "90 minutes"), 0),
        (("--service", "service 3", "--metadata", '{"user": "bob"}'), 0),
    ],
)
def test_filters_leave_what_they_say(dsn: str, db: Connection, options: tuple[str, ...], count: int) -> None:
    healthy(db)
    db.execute("SET session_replication_role = replica")  # the trigger lets nobody move a row in time
    db.execute(
        """UPDATE public.cost_tracking SET created_at = created_at - interval '70 minutes'
           WHERE service_name = 'service 7'"""
    )
    assert listed(dsn, *options)[0] == count


def test_no_hold_is_open(dsn: str, db: Connection) -> None:
    assert listed(dsn) == (0, "0", [])
    assert invoke("holds", dsn=dsn).out == "no hold is open\n"


@pytest.mark.parametrize("width", [80, 200])
def test_names_are_whole_at_any_width(dsn: str, db: Connection, width: int) -> None:
    hold = Budget(db).reserve(1, NASTY).reservation_id
    lines = invoke("holds", dsn=dsn, width=width).out.splitlines()[1:-2]
    first_column = "".join(re.split(" {3,}|  ID", picture(line))[0] for line in lines)
    shown = NASTY.replace("\x1b", r"\x1b").replace("\r", r"\r").replace("\n", r"\n").replace("\u202e", r"\u202e")
    assert shown.replace(" ", "") in first_column.replace(" ", "")
    assert str(hold) in "\n".join(lines)
    assert listed(dsn)[2] == [NASTY]
