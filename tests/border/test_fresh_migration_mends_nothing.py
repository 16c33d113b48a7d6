"""What a migration gives and takes is right by itself: what `migrate` mends after a restore is no part of it."""

from __future__ import annotations

import psycopg
import pytest

from tests import chain

OPENED = """
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO PUBLIC;
"""


def migrated(dsn: str) -> list[str]:
    mended: list[str] = []
    assert chain.migrate(dsn, on_mend=mended.append)
    return mended


@pytest.mark.parametrize("before", ["", OPENED], ids=["as it is", "default privileges"])
def test_in_an_empty_database(empty_dsn: str, app_role: str, before: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute(before.encode())
    assert migrated(empty_dsn) == []


def test_over_tables_that_others_may_do_anything_with(empty_dsn: str, app_role: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute(
            """CREATE TABLE public.cost_tracking (
                   id uuid PRIMARY KEY DEFAULT gen_random_uuid(), service_name text NOT NULL,
                   cost numeric(10, 4) NOT NULL, metadata jsonb DEFAULT '{}', created_at timestamptz DEFAULT now());
               GRANT ALL ON public.cost_tracking TO app"""
        )
    assert migrated(empty_dsn) == []
