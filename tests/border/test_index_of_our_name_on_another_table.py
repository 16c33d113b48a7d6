"""An index of our name that somebody made on a table of his own is not taken for ours, and is not dropped as ours."""

from __future__ import annotations

import psycopg
import pytest

from pgbudget.plan import plan
from tests import chain
from tests.migration.support import session


@pytest.mark.parametrize("name", ["budget_day_idx", "budget_expiry_idx"])
@pytest.mark.parametrize("made", ["CREATE TABLE public.{} ()", "CREATE INDEX {} ON public.other (a)"])
def test_it_stops_the_migration(empty_dsn: str, name: str, made: str) -> None:
    with session(empty_dsn) as db:
        db.execute("CREATE TABLE public.other (a integer)")
        db.execute(made.format(name).encode())
        (stop,) = plan(empty_dsn).stops
        assert stop.note == f"public.{name} is no index of the ledger, and has the name of one of ours"
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match=name):
            chain.migrate(empty_dsn)
        assert stop.remedy
        db.execute(stop.remedy.encode())
    chain.migrate(empty_dsn)
