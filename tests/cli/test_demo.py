"""The demo: what it shows, that it notices an overshoot, and that it leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from io import StringIO
from typing import Any

import psycopg
import pytest
from rich.console import Console

from pgbudget import demo, migrations
from pgbudget.embedded import Server
from pgbudget.errors import DatabaseBehind
from tests.cli.terminal import COLUMNS, COMMAND, environment, run_on_terminal
from tests.race import SECONDS, until


def databases(server: Server) -> set[str]:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        return {name for (name,) in admin.execute("SELECT datname FROM pg_database WHERE datname LIKE 'pgbudget%'")}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crowd that is done sooner, and comes to the limit all the same."""
    monkeypatch.setattr(demo, "ROUNDS", 12)


def shown(dsn: str | None) -> tuple[bool, str]:
    console = Console(file=StringIO(), width=COLUMNS, highlight=False)
    good = demo.run(console, dsn)
    return good, console.file.getvalue()  # type: ignore[attr-defined]


def test_from_nothing_to_all_three_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """On its own server, which ends with it."""
    servers: list[tuple[Server, int]] = []

    class Watched(Server):
        def start(self) -> None:
            super().start()
            servers.append((self, self.pid))

    monkeypatch.setattr(demo, "Server", Watched)
    good, text = shown(None)
    assert good, text
    [(_, pid)] = servers
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert re.search(r"A +\$95 +yes +\$10", text)
    assert re.search(r"B +\$95 +yes +\$10", text)
    assert "the day ends at $115 of $100" in text
    assert re.search(r"\$95 +A +no +\$95 +\$95 *\n +B +no +\$95", text)
    assert re.search(r"\$90 +A +yes +\$90 +\$100 *\n +B +no +\$100", text)
    assert re.search(r"overshoot +\$0\b", text)
    assert re.search(r"calls per second +[1-9]", text)
    granted, refused = (list(map(int, found(rf"{name} +(\d+) +(\d+) +(\d+)", text))) for name in ("granted", "refused"))
    assert [a + b for a, b, _ in (granted, refused)] == [granted[2], refused[2]]
    assert granted[2] + refused[2] == demo.CLIENTS * demo.ROUNDS
    assert min(*granted, *refused) > 0


def found(pattern: str, text: str) -> tuple[str, ...]:
    match = re.search(pattern, text)
    assert match, text
    return match.groups()


@pytest.mark.proof
def test_on_a_terminal_it_shows_progress_in_80_columns(server: Server) -> None:
    done = run_on_terminal("demo", "--dsn", server.dsn())
    assert done.code == 0, done.text
    assert "Nothing passed the limit." in done.text
    assert "rounds" in done.text
    assert f"{demo.CLIENTS * demo.ROUNDS}/{demo.CLIENTS * demo.ROUNDS}" in done.text
    assert max(len(part) for line in done.text.splitlines() for part in line.split("\r")) <= COLUMNS
    assert databases(server) == set()


UNGUARDED = """
CREATE OR REPLACE FUNCTION budget.{name}(p_estimated_cost numeric, p_service_name text, p_metadata jsonb = '{{}}',
    p_reservation_id uuid = NULL, p_ttl interval = NULL)
RETURNS SETOF budget.verdict LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_total numeric := (SELECT coalesce(sum(cost), 0) FROM public.cost_tracking);
BEGIN
    IF v_total < 100 THEN
        p_reservation_id := coalesce(p_reservation_id, gen_random_uuid());
        PERFORM pg_sleep(0.01);
        INSERT INTO public.cost_tracking (id, cost, service_name, metadata)
        VALUES (p_reservation_id, p_estimated_cost, p_service_name, '{{"type": "reservation"}}');
    ELSE
        p_reservation_id := NULL;
    END IF;
    RETURN QUERY SELECT p_reservation_id IS NOT NULL, v_total, p_reservation_id, 'granted', 'daily', 100.0, 0.0,
        now(), now(), now();
END $$;
"""
ALWAYS_YES = """
CREATE OR REPLACE FUNCTION public.check_and_reserve_budget(p_estimated_cost numeric, p_service_name text,
    p_metadata jsonb = '{}')
RETURNS TABLE (can_proceed boolean, current_total numeric, reservation_id uuid) LANGUAGE sql AS $$
    INSERT INTO public.cost_tracking (cost, service_name) VALUES (p_estimated_cost, p_service_name)
    RETURNING true, 95.0, id $$;
"""
ALWAYS_NO = """
CREATE OR REPLACE FUNCTION public.check_and_reserve_budget(p_estimated_cost numeric, p_service_name text,
    p_metadata jsonb = '{}')
RETURNS TABLE (can_proceed boolean, current_total numeric, reservation_id uuid) LANGUAGE sql AS $$
    SELECT false, 95.0, NULL::uuid $$;
"""


@pytest.mark.proof
@pytest.mark.parametrize(
    ("sabotage", "failing"),
    [
        (ALWAYS_YES, "both refused at"),
        (ALWAYS_NO, "both refused at"),
        (UNGUARDED.format(name="reserve"), "no overshoot"),
        (UNGUARDED.format(name="reserve_advisory"), "no overshoot"),
    ],
    ids=["always yes", "always no", "unguarded reserve", "unguarded reserve_advisory"],
)
def test_it_notices_when_the_guard_fails(
    server: Server, short: None, monkeypatch: pytest.MonkeyPatch, sabotage: str, failing: str
) -> None:
    def migrate(dsn: str, **options: Any) -> list[str]:
        applied = migrations.migrate(dsn, **options)
        with psycopg.connect(dsn) as connection:
            connection.execute(sabotage.encode())
        return applied

    monkeypatch.setattr(demo, "migrate", migrate)
    good, text = shown(server.dsn())
    assert not good
    assert re.search(f"✗ .*{failing}", text), text
    assert "Not as it must be" in text


def test_an_error_ends_every_client_at_once_and_leaves_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def migrate(dsn: str, **options: Any) -> list[str]:
        applied = migrations.migrate(dsn, **options)
        with psycopg.connect(dsn) as connection:
            connection.execute("DROP FUNCTION budget.reserve_advisory")
        return applied

    monkeypatch.setattr(demo, "migrate", migrate)
    monkeypatch.setattr(demo, "_BARRIER_SECONDS", None)  # whoever waits for the others there would wait for ever
    with pytest.raises(DatabaseBehind, match="reserve_advisory"):
        shown(server.dsn())
    assert databases(server) == set()


def test_a_server_with_too_few_connections_says_so_without_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients that did connect are at the barrier by then, where they would wait for the others."""
    monkeypatch.setattr(demo, "_BARRIER_SECONDS", None)
    with Server(settings={"max_connections": "30"}) as small:
        with pytest.raises(psycopg.OperationalError, match=r"too many clients|remaining connection slots"):
            shown(small.dsn())
        assert databases(small) == set()


def roles(server: Server) -> set[str]:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        return {name for (name,) in admin.execute(r"SELECT rolname FROM pg_roles WHERE rolname LIKE 'budget\_%'")}


@pytest.mark.proof
def test_a_server_that_is_given_is_left_as_it_was(short: None) -> None:
    with Server() as fresh:
        good, _ = shown(fresh.dsn())
        assert good
        assert databases(fresh) == set()
        assert roles(fresh) == set()
        migrations.migrate(fresh.dsn())
        before = roles(fresh)
        assert before
        assert shown(fresh.dsn())[0]
        assert roles(fresh) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_drops_its_database(server: Server, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [*COMMAND, "demo", "--dsn", server.dsn()],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until(lambda: databases(server), "the demo to have made its database")
        process.send_signal(number)
        output, _ = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode not in (0, -number)
    assert "Traceback" not in output
    assert databases(server) == set()
