"""What others have chosen, names, reasons, queries, keys, a server's words, is written out by every command."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import Jsonb

from pgbudget import Budget
from pgbudget.cli.app import app
from pgbudget.locks import KEY
from tests.cli.command import invoke
from tests.cli.terminal import COLUMNS
from tests.rows import configure

Connection = psycopg.Connection[Any]

EVIL = "[bold][/x] \x1b[31m\x1b]0;title\x07\r\x9b2J\u202e\u2028:smile:"
"""Colours, a window's title, a line that overwrites itself, C1, right to left, a line that others forge, and markup."""
ROLE, DATABASE, FUNCTION = f"role {EVIL}", f"database {EVIL}", f"boom {EVIL}"
HOLD, ORDER, PROPOSER = uuid4(), uuid4(), f"proposer {EVIL}"

# Those without a word of somebody else's in what they print.
OF_THEIR_OWN = {"demo", "sql", "rollback", "expire", "migrate"}
CALLS: dict[str, list[str]] = {
    "migrate --plan": ["--grant-to", ROLE],
    "doctor": [],
    "status": [],
    "watch": ["--count", "1"],
    "holds": [],
    "lock": [],
    "report": ["--out", "-"],
    "report --days 2": ["--out", "{folder}/page.html"],
    "replay": ["{folder}/calls.csv", "--dsn", "{dsn}"],
    "replay --rule logged": ["{folder}/broken.csv", "--dsn", "{dsn}"],
    "limits": [],
    "limits set": ["daily_soft_cap=3"],
    "freeze": ["again"],
    "unfreeze": [],
    "reserve": ["1", EVIL],
    "check": ["1", EVIL],
    "settle": [str(HOLD), "1"],
    "extend": [str(HOLD), "--estimate", "2"],
    "cancel": [str(HOLD)],
    "record": ["1", EVIL],
    "estimate tier": ["0.5"],
    "estimate tokens": [PROPOSER, "1", "1"],
    "estimate history": [EVIL],
    "route": [str(ORDER), "--task", EVIL, "--score", "0.4", "--approved"],
    "budgets": [],
    "budgets list": [],
    "budgets status": [],
    "budgets set": [EVIL, "--limit", "5", "--of", EVIL],
    "budgets drop": [f"budget {EVIL}", "--yes"],
}
MUST_TELL = {
    "migrate --plan",
    "doctor",
    "status",
    "watch",
    "holds",
    "lock",
    "report",
    "report --days 2",
    "replay",
    "limits",
}
MUST_TELL |= {"replay --rule logged", "freeze", "route", "budgets", "budgets status"}


def commands(group: click.Group = app, path: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{path}{name}"
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")


def test_every_command_is_here() -> None:
    here = {call.partition(" --")[0] for call in CALLS} | OF_THEIR_OWN
    assert here == set(commands())


@contextmanager
def world(dsn: str, folder: Path) -> Iterator[str]:
    """The database under another name and role, with others in it who chose every text that they may choose."""
    role, name = sql.Identifier(ROLE), sql.Identifier(DATABASE)
    template = sql.Identifier(str(conninfo_to_dict(dsn)["dbname"]))
    with psycopg.connect(dsn, dbname="postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN").format(role))
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, template))
        theirs = make_conninfo(dsn, dbname=DATABASE, user=ROLE, application_name=EVIL)
        try:
            with psycopg.connect(theirs, autocommit=True) as db, psycopg.connect(theirs) as idle:
                populate(db, folder, theirs)
                idle.execute(f"SELECT /* {EVIL} */ 1 FROM public.work_orders".encode())
                yield theirs
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            admin.execute(sql.SQL("DROP ROLE {}").format(role))


def populate(db: Connection, folder: Path, dsn: str) -> None:
    configure(db, json.dumps({"emergency_kill": 900, EVIL: 1, "exempt_services": [EVIL]}))
    budget = Budget(db)
    budget.reserve(1, EVIL, {"user": EVIL, EVIL: EVIL}, reservation_id=HOLD)
    budget.settle(budget.reserve(1, EVIL).reservation_id or HOLD, 3)
    budget.escalate(EVIL, EVIL, EVIL, severity=EVIL)
    db.execute("INSERT INTO public.work_orders (id, title, description) VALUES (%s, 't', 'd')", [ORDER])
    db.execute(
        """INSERT INTO public.escalations (trigger_type, context, reason)
           VALUES ('budget_refused', %s, %s)""",
        [Jsonb({"budget": "daily", "severity": EVIL, "source": "pgbudget", "subject": EVIL}), EVIL],
    )
    for name, profile in ((PROPOSER, {"input_cost_per_token": 1, "output_cost_per_token": 1}), (f"un{PROPOSER}", {})):
        db.execute(
            "INSERT INTO public.proposer_configs (name, model, provider, cost_profile) VALUES (%s, '', '', %s)",
            [name, Jsonb(profile)],
        )
    db.execute(
        sql.SQL("CREATE FUNCTION budget.{}() RETURNS int LANGUAGE sql RETURN 1").format(sql.Identifier(FUNCTION[:40]))
    )
    if db.execute("SELECT to_regclass('budget.budgets') IS NOT NULL").fetchall() == [(True,)]:
        db.execute("SELECT budget.set_budget(p_name => %s, p_limit => 1.1, p_dimension => 'user')", [f"budget {EVIL}"])
    budget.freeze(EVIL)
    header = f"time,service,estimate,actual,duration_s,{EVIL.replace(chr(13), '')}\n"
    line = f"2025-10-03T09:00:00Z,a {EVIL.replace(chr(13), '')},40,10,3600,\n"
    (folder / "calls.csv").write_text(header + line * 3, "utf-8")
    (folder / "broken.csv").write_text(header.replace("time,", f"time,{EVIL.replace(chr(13), '')},") + line, "utf-8")


def raw(text: str) -> set[str]:
    return {character for character in text if unicodedata.category(character)[0] in "CZ" and character not in " \n"}


@pytest.fixture
def shown(dsn: str, tmp_path: Path) -> Iterator[Callable[..., str]]:
    with world(dsn, tmp_path) as theirs, psycopg.connect(theirs) as holder:

        def run(call: str, *options: str, width: int = COLUMNS) -> str:
            if call == "route":
                invoke("unfreeze", dsn=theirs)
            if call == "lock":
                holder.execute(f"SELECT /* {EVIL} */ pg_advisory_xact_lock({KEY})".encode())
            arguments = [one.format(folder=tmp_path, dsn=dsn) if "{" in one else one for one in CALLS[call]]
            done = invoke(*call.split(), *arguments, *options, dsn=theirs, width=width)
            assert done.code in (0, 1, 2, 3, 4), done.err
            return done.out + done.err

        yield run


@pytest.mark.parametrize("call", CALLS)
def test_nothing_reaches_the_terminal_as_it_is(shown: Callable[..., str], call: str, tmp_path: Path) -> None:
    text = shown(call)
    assert raw(text) == set()
    if call in MUST_TELL and not (call.startswith("budgets") and "not applied" in text):
        assert re.search(r"\\x1b\s*\[\s*31m", text), text
    # What doctor would have pasted is one line, however long.
    if call not in ("report", "report --days 2", "estimate tokens", "replay --rule logged", "doctor"):
        assert max(map(len, text.splitlines())) <= COLUMNS, text
    if call == "report --days 2":
        assert raw((tmp_path / "page.html").read_text("utf-8")) == set()
    assert raw(shown(call, "--json")) == set()


def test_nor_does_a_plan_of_what_is_there(empty_dsn: str, tmp_path: Path) -> None:
    """Before anything is installed: the application's own tables, and who is at work in them."""
    name, role = sql.Identifier(DATABASE), sql.Identifier(ROLE)
    limits = json.dumps({"emergency_kill": 9, EVIL: 1}, ensure_ascii=False)
    with psycopg.connect(empty_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    theirs = make_conninfo(empty_dsn, dbname=DATABASE)
    try:
        with psycopg.connect(theirs, autocommit=True) as db, psycopg.connect(theirs, application_name=EVIL) as idle:
            db.execute(
                sql.SQL(
                    """CREATE TABLE public.system_config (key text PRIMARY KEY, value text NOT NULL);
                    CREATE TABLE public.cost_tracking (
                        id uuid PRIMARY KEY, service_name text NOT NULL, cost numeric(10, 4) NOT NULL,
                        metadata jsonb, created_at timestamptz
                    );
                    CREATE POLICY {evil} ON public.cost_tracking USING (true);
                    CREATE INDEX {evil} ON public.cost_tracking (cost);
                    CREATE VIEW public.{role} AS SELECT cost FROM public.cost_tracking;
                    GRANT ALL ON public.cost_tracking TO {role};
                    INSERT INTO public.system_config VALUES ('budget_limits', {limits})"""
                ).format(evil=sql.Identifier(EVIL), role=role, limits=sql.Literal(limits))
            )
            idle.execute(f"SELECT /* {EVIL} */ 1 FROM public.cost_tracking".encode())
            shown = [invoke("migrate", "--plan", *options, dsn=theirs) for options in ((), ("--json",))]
    finally:
        with psycopg.connect(empty_dsn, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            admin.execute(sql.SQL("DROP ROLE {}").format(role))
    assert [raw(done.out + done.err) for done in shown] == [set(), set()]
    assert r"SELECT /* [bold]" in shown[0].out
    assert max(map(len, shown[0].out.splitlines())) <= COLUMNS


def test_nor_does_what_the_server_says(dsn: str, db: Connection) -> None:
    """A trigger of the application's own may raise any text."""
    db.execute(
        sql.SQL(
            """CREATE FUNCTION public.raises() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN RAISE EXCEPTION USING MESSAGE = {0}, DETAIL = {0}, HINT = {0}; END $$;
               CREATE TRIGGER raises BEFORE INSERT ON public.cost_tracking EXECUTE FUNCTION public.raises()"""
        ).format(sql.Literal(f"{EVIL}\nhint: run this\nall is well"))
    )
    for options in ((), ("--json",)):
        done = invoke("record", "1", "svc", *options, dsn=dsn)
        assert [line for line in done.err.splitlines() if line.startswith(("hint: run", "all is well"))] == []
        assert (done.code, done.out) == (3, "")
        assert raw(done.err) == set()
        assert "31m" in done.err
