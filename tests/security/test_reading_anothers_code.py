"""Who owns the budget's schema has his code run by whoever reads its views, so a powerful role reads nothing unasked.

Mallory owns all of pgbudget here, and has put his trap in every view and function, and views in place of the tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pytest_postgresql.executors import NoopExecutor

from pgbudget import Budget, _trust, doctor, migrations
from pgbudget.cli.app import app
from pgbudget.embedded import Server
from pgbudget.results import Status
from tests import chain
from tests.cli.command import invoke
from tests.conftest import Endpoint
from tests.rows import Connection
from tests.security.test_attackers import TRAPS, springs

pytestmark = pytest.mark.proof

ID = "00000000-0000-4000-8000-000000000001"
TABLES = ("cost_tracking", "system_config", "proposer_configs")
ROLES = {
    "creates roles": "CREATE ROLE {} LOGIN CREATEROLE",
    "creates databases": "CREATE ROLE {} LOGIN CREATEDB",
    "replicates": "CREATE ROLE {} LOGIN REPLICATION",
    "sees all rows": "CREATE ROLE {} LOGIN BYPASSRLS",
    "is another too": 'CREATE ROLE {} LOGIN; GRANT "Somebody Else" TO {}',
    "may become another": 'CREATE ROLE {} LOGIN NOINHERIT; GRANT "Somebody Else" TO {}',
    "reads all data": "CREATE ROLE {} LOGIN; GRANT pg_read_all_data TO {}",
}
PLAIN = {
    "reads": "CREATE ROLE {} LOGIN",
    "monitors": "CREATE ROLE {} LOGIN; GRANT pg_monitor TO {}",
    "calls too": "CREATE ROLE {} LOGIN; GRANT budget_caller, budget_admin TO {}",
    "is the owner": "CREATE ROLE {} LOGIN; GRANT mallory TO {}",
    "is what the owner is": 'CREATE ROLE {} LOGIN; GRANT "A Group" TO mallory, {}',
}

COMMANDS = (
    "status", "status --json", "watch --json --count 1", "holds", "lock", "report --out -", "report --json", "limits",
    "limits set emergency_kill=70", "freeze why", "unfreeze", "expire", "reserve 1 svc", "reserve 1 svc --advisory",
    f"settle {ID} 1", f"cancel {ID}", f"extend {ID} --ttl 5m", "record 1 svc", "check 1 svc", "estimate tier 0.5",
    "estimate tokens proposer 1 1", "estimate history svc", f"route {ID} --task do --score 0.5", "budgets",
    "budgets list", "budgets status", "budgets set team --of team --limit 5", "budgets drop team", "doctor",
    "migrate --plan", "replay {log} --dsn {dsn}",
)  # fmt: skip
# It has a database of its own; and whoever migrates is stopped by the migrations: test_attackers.py.
OTHERS = {"demo", "rollback"}


def plant(mallory: Connection) -> None:
    """What an owner may do: code of his in each view, and in each function, which runs with its caller's rights."""
    mallory.execute(TRAPS.encode())
    for (function,) in mallory.execute(
        "SELECT pg_get_functiondef(p.oid) FROM pg_proc AS p WHERE p.pronamespace = 'budget'::regnamespace"
    ).fetchall():
        text = function.replace(" SECURITY DEFINER", "")
        if "\nBEGIN\n" in text:
            mallory.execute(text.replace("\nBEGIN\n", "\nBEGIN\n    PERFORM mallory.spring();\n").encode())
    mallory.execute(
        """CREATE OR REPLACE FUNCTION budget.version() RETURNS text LANGUAGE plpgsql AS $$
           BEGIN PERFORM mallory.spring(); RETURN '1.0'; END $$"""
    )
    for view, text in mallory.execute(
        "SELECT v.viewname, rtrim(v.definition, ';') FROM pg_views AS v WHERE v.schemaname = 'budget'"
    ).fetchall():
        mallory.execute(
            f"CREATE OR REPLACE VIEW budget.{view} AS SELECT v.* FROM ({text}) AS v WHERE mallory.check('')".encode()
        )
    for table in TABLES:
        mallory.execute(f"ALTER TABLE public.{table} RENAME TO real_{table}".encode())
        mallory.execute(
            f"CREATE VIEW public.{table} AS SELECT t.* FROM public.real_{table} AS t WHERE mallory.check('')".encode()
        )


@pytest.fixture(scope="module")
def mallorys(server: Server, endpoint: Endpoint, template: NoopExecutor) -> Iterator[str]:
    """A database in which all is mallory's; how a superuser connects to it."""
    dsn = server.dsn("mallorys")
    with (
        endpoint.database("mallorys"),
        psycopg.connect(dsn, autocommit=True) as superuser,
    ):
        superuser.execute('CREATE ROLE mallory LOGIN; CREATE ROLE "Somebody Else"; CREATE ROLE "A Group"')
        superuser.execute("GRANT CREATE ON DATABASE mallorys TO mallory; GRANT CREATE ON SCHEMA public TO mallory")
        own = make_conninfo(dsn, user="mallory")
        chain.migrate(own)
        with psycopg.connect(own, autocommit=True) as mallory:
            plant(mallory)
        yield dsn
        superuser.execute('DROP OWNED BY mallory CASCADE; DROP ROLE mallory, "Somebody Else", "A Group"')


@pytest.fixture
def superuser(mallorys: str) -> Iterator[Connection]:
    with psycopg.connect(mallorys, autocommit=True) as connection:
        connection.execute("ALTER SEQUENCE mallory.sprung RESTART")
        yield connection


@pytest.fixture
def role(request: pytest.FixtureRequest, superuser: Connection) -> Iterator[str]:
    """A role as the test wants it, which may read."""
    superuser.execute(request.param.format(*["tested"] * request.param.count("{}")).encode())
    superuser.execute("GRANT budget_reader TO tested")
    yield "tested"
    superuser.execute("DROP ROLE tested")


def without_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_trust, "look", lambda *_, **__: _trust.Seen(True, []))
    monkeypatch.setattr(_trust, "require_tables", lambda *_, **__: None)
    monkeypatch.setattr(migrations, "untrusted_owner", lambda _: None)


def asked(command: str, dsn: str, folder: Path) -> tuple[int, str]:
    log = folder / "log.csv"
    log.write_text("time,service,actual,estimate\n2026-01-01T00:00:00Z,svc,1,1\n")
    done = invoke(*(word.format(log=log, dsn=dsn) for word in command.split(" ")), dsn=dsn)
    return done.code, done.out + done.err


def test_these_are_all_commands_that_connect() -> None:
    def paths(command: click.Command, name: str) -> Iterator[str]:
        for child in command.commands.values() if isinstance(command, click.Group) else ():
            yield from paths(child, f"{name} {child.name}")
        if any(parameter.name == "dsn" for parameter in command.params):
            yield name.strip()

    tried = [f"{command} " for command in COMMANDS]
    assert {path for path in paths(app, "") if not any(command.startswith(f"{path} ") for command in tried)} == OTHERS


@pytest.mark.parametrize("command", COMMANDS)
def test_a_superuser_runs_nothing_of_it(*, command: str, mallorys: str, superuser: Connection, tmp_path: Path) -> None:
    code, said = asked(command, mallorys, tmp_path)
    assert not springs(superuser)
    assert "the trap was sprung" not in said
    assert code == 1
    assert "'mallory' here, whose code would run with your rights" in " ".join(said.split())
    assert "--accept-owner" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_without_the_guard_he_does(
    *, command: str, mallorys: str, superuser: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_the_guard(monkeypatch)
    _, said = asked(command, mallorys, tmp_path)
    assert springs(superuser) or "the trap was sprung" in said


def test_he_does_where_he_says_that_he_trusts_the_owner(mallorys: str, superuser: Connection) -> None:
    done = invoke("status", "--accept-owner", dsn=mallorys)
    assert done.err == ""  # its exit code is 1 where another test has frozen the budget
    assert springs(superuser)


def test_a_role_that_is_set_is_no_fence(mallorys: str, superuser: Connection) -> None:
    """His code would set it back."""
    done = invoke("status", dsn=make_conninfo(mallorys, options="-crole=budget_reader"))
    assert done.code == 1
    assert "whose code would run with your rights" in " ".join(done.err.split())
    assert not springs(superuser)


@pytest.mark.parametrize("role", ROLES.values(), ids=ROLES.keys(), indirect=True)
def test_a_role_that_has_more_to_lose_is_stopped(mallorys: str, superuser: Connection, role: str) -> None:
    done = invoke("status", dsn=make_conninfo(mallorys, user=role))
    assert done.code == 1
    assert "pgbudget belongs to 'mallory' here" in " ".join(done.err.split())
    assert not springs(superuser)


@pytest.mark.parametrize("role", PLAIN.values(), ids=PLAIN.keys(), indirect=True)
def test_a_plain_role_is_not(mallorys: str, superuser: Connection, role: str) -> None:
    """It goes on, and mallory's code runs with its rights, which get him no further than that."""
    done = invoke("status", "--json", dsn=make_conninfo(mallorys, user=role))
    assert "whose code would run" not in done.err
    assert springs(superuser)


def test_the_owner_is_not(mallorys: str) -> None:
    assert invoke("status", dsn=make_conninfo(mallorys, user="mallory")).err == ""


def test_trust_in_the_owner_is_none_in_others(dsn: str, db: Connection, mallorys: str) -> None:
    """Where the ledger is the superuser's, one function that another owns is enough, and no flag accepts that."""
    db.execute("ALTER FUNCTION budget._now() OWNER TO mallory")
    try:
        for options in ([], ["--accept-owner"]):
            done = invoke("status", *options, dsn=dsn)
            assert done.code == 1
            assert "budget._now() belongs to 'mallory' here" in " ".join(done.err.split())
    finally:
        db.execute("ALTER FUNCTION budget._now() OWNER TO postgres")


def test_what_appears_after_the_look_is_not_used(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may create in the database could wait for the superuser to have seen that there is nothing."""
    looked = _trust.look

    def look_and_plant(*args: object, **options: object) -> _trust.Seen:
        seen = looked(*args, **options)  # type: ignore[arg-type]
        with psycopg.connect(empty_dsn, autocommit=True) as planter:
            planter.execute("CREATE SCHEMA IF NOT EXISTS budget")
            planter.execute(
                """CREATE OR REPLACE FUNCTION budget.version() RETURNS text LANGUAGE plpgsql
                   AS $$ BEGIN RAISE EXCEPTION 'sprung'; END $$"""
            )
        return seen

    monkeypatch.setattr(_trust, "look", look_and_plant)
    done = invoke("status", dsn=empty_dsn)
    assert (done.code, done.err.splitlines()[0]) == (3, "error: the database has no pgbudget")


@pytest.mark.parametrize("when", ["between the looks", "after the snapshot"])
def test_nor_is_what_is_put_in_a_tables_place(
    *, when: str, dsn: str, db: Connection, mallorys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever owns the schema public may drop the superuser's table in it at any time."""
    db.execute("ALTER SCHEMA public OWNER TO mallory")
    status = Budget.status

    def swap() -> None:
        with psycopg.connect(make_conninfo(dsn, user="mallory"), autocommit=True) as mallory:
            mallory.execute("DROP TABLE public.proposer_configs")
            mallory.execute(
                """CREATE FUNCTION public.spring() RETURNS text LANGUAGE plpgsql
                   AS $$ BEGIN RAISE EXCEPTION 'sprung'; END $$"""
            )
            mallory.execute(
                """CREATE VIEW public.proposer_configs AS
                   SELECT public.spring() AS name, true AS active, '{}'::jsonb AS cost_profile"""
            )
            mallory.execute("GRANT SELECT ON public.proposer_configs TO PUBLIC")

    def swap_and_answer(budget: Budget) -> Status:
        found: Status = status(budget)
        if when == "after the snapshot":
            swap()
        return found

    def look_and_swap(*args: Any, **options: Any) -> _trust.Seen:
        seen = looked(*args, **options)
        if when == "between the looks":
            swap()
        return seen

    looked = _trust.look
    monkeypatch.setattr(_trust, "look", look_and_swap)
    monkeypatch.setattr(Budget, "status", swap_and_answer)
    try:
        done = invoke("report", "--json", dsn=dsn)
        assert "sprung" not in done.err
        assert done.code == 1
        assert ("belongs to 'mallory'" if when == "between the looks" else "in the place of") in done.err
        monkeypatch.setattr(_trust, "require_tables", lambda *_, **__: None)
        monkeypatch.setattr(_trust, "look", looked)
        monkeypatch.setattr(Budget, "status", status)
        monkeypatch.setattr(_trust, "TABLES", ())
        assert "sprung" in invoke("report", "--json", dsn=dsn).err
    finally:
        db.execute("ALTER SCHEMA public OWNER TO pg_database_owner; DROP OWNED BY mallory CASCADE")


def test_doctor_looks_at_the_catalogs_all_the_same(mallorys: str, superuser: Connection) -> None:
    checks = {check.name: check.verdict for check in doctor.examine(mallorys)}
    assert not springs(superuser)
    assert checks["whose code runs"] == "wrong"
    assert {checks[name] for name in ("version", "limits", "freeze", "invariants", "lapsed holds")} == {"unknown"}
    assert checks["functions' bodies"] == "wrong"
    told = json.loads(invoke("doctor", "--json", dsn=mallorys).out)
    assert told["healthy"] is False
