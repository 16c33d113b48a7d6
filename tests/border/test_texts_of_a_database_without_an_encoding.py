"""In a SQL_ASCII database psycopg gives bytes for every text: a reason equals none of the documented ones."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgbudget import Budget, migrations
from pgbudget.embedded import Server
from tests.cli.command import invoke
from tests.migration.support import psql


def test_texts_are_texts_also_where_they_are_any_bytes(server: Server, tmp_path: Path) -> None:
    chain = tmp_path / "chain.sql"
    chain.write_text(migrations.script(), "utf-8")
    dsn = make_conninfo(server.dsn(), dbname="any_bytes")
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE any_bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        try:
            psql(server, dsn, chain)
            with psycopg.connect(dsn, autocommit=True) as db:
                db.execute(rb"SELECT budget.reserve(1, E'caf\351 \303\251', E'{\"a\": \"\351\"}')")
                budget = Budget(db)
                verdict = budget.reserve(1, "svc")
                assert (verdict.reason, verdict.budget) == ("granted", "daily")
                assert budget.limits().exempt_services == ["architect"]
                assert budget.status().timezone == "UTC"
            for look in (["status"], ["watch", "--count", "1"], ["limits"], ["report", "--out", "-"], ["lock"]):
                assert invoke(*look, dsn=dsn).code == 0
            assert r"caf\xe9 é" in invoke("holds", dsn=dsn).out
            told = json.loads(invoke("holds", "--json", dsn=dsn).out)["holds"]
            assert [hold["service_name"] for hold in told] == [r"caf\xe9 é", "svc"]
        finally:
            admin.execute("DROP DATABASE any_bytes WITH (FORCE)")


@pytest.mark.parametrize("encoding", ["LATIN1", "UTF8", "SJIS"])
def test_a_client_of_another_encoding(dsn: str, encoding: str) -> None:
    with psycopg.connect(dsn, autocommit=True, client_encoding=encoding) as db:
        name = "café" if encoding != "SJIS" else "カフェ"
        Budget(db).freeze(name)
        assert Budget(db).status().frozen_reason == name
