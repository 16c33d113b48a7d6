"""The connection is cut at the worst moment, the caller cannot know on which side of the commit, and repeats its call.

What the driver makes of it by itself is in tests/driver/test_connections.py.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import psycopg
import pytest

from tests.conftest import Connect
from tests.driver.relay import Relay
from tests.faults import promises
from tests.faults.promises import CALLS, Call, everything
from tests.race import SECONDS, Connection, until
from tests.rows import value

pytestmark = pytest.mark.proof

EVERY = pytest.mark.parametrize("name", CALLS)


def nobody_else(db: Connection) -> None:
    """Wait until the server has noticed."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    until(lambda: value(db, others) == 0, "the server to notice")


def charged_once(db: Connection, call: Call) -> None:
    assert promises.ledger(db) == call.after[0]
    promises.sound(db)


@EVERY
@pytest.mark.parametrize("committed", [True, False], ids=["after the commit", "before the commit"])
@pytest.mark.parametrize("autocommit", [True, False], ids=["autocommit", "COMMIT"])
def test_what_is_repeated_after_a_cut_is_charged_once(
    db: Connection, dsn: str, name: str, committed: bool, autocommit: bool
) -> None:
    call = CALLS[name](db)
    before = everything(db)
    with Relay(dsn) as relay, closing(psycopg.connect(relay.dsn, autocommit=autocommit)) as connection:
        cut = relay.lose_answer_to if committed else relay.lose
        commit: Callable[[], object]
        if autocommit:
            commit, text = partial(call.send, connection), f"budget.{call.name}("
        else:
            call.send(connection)
            commit, text = connection.commit, "COMMIT"
        cut(text)
        with pytest.raises(psycopg.OperationalError):
            commit()
        assert relay.lost == 1
    nobody_else(db)

    left = everything(db)
    assert (left != before) == committed
    promises.settled_doubt(db, call)
    if committed:
        assert everything(db) == left, "a repeat changes nothing"
    charged_once(db, call)


@EVERY
def test_a_call_that_is_repeated_while_the_first_still_waits_is_charged_once(
    db: Connection, dsn: str, connect: Connect, name: str
) -> None:
    """The server does not notice that a caller who waits has gone: it does what he asked for, and then the repeat."""
    call = CALLS[name](db)
    again = connect()
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"

    def see_waiting(number: int) -> None:
        until(lambda: value(db, waiting) == number, "the call to wait")

    with (
        Relay(dsn) as relay,
        closing(psycopg.connect(relay.dsn, autocommit=True)) as gone,
        ThreadPoolExecutor() as pool,
    ):
        with connect().transaction() as holder:
            holder.connection.execute("LOCK TABLE public.cost_tracking IN SHARE ROW EXCLUSIVE MODE")
            first = pool.submit(call.send, gone)
            see_waiting(1)
            relay.cut()
            with pytest.raises(psycopg.OperationalError):
                first.result(SECONDS)
            repeated = pool.submit(promises.settled_doubt, again, call)
            see_waiting(2)
        repeated.result(SECONDS)
    charged_once(db, call)
