"""The report: its figures, its escaping, what it could not read, and the file that the command writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgbudget.report import read_facts
from pgbudget.report.page import Chart, Column, Line
from tests.cli.command import invoke
from tests.cli.states import NASTY, STATES
from tests.clock import NOON, Clock
from tests.conftest import Connect
from tests.rows import call, configure, expect, reserve, spend

Connection = psycopg.Connection[Any]
Write = Callable[..., Path]


def text_of(page: Path) -> str:
    """The words of a page, without its tags."""
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page.read_text("utf-8"), flags=re.DOTALL).split())


def test_the_figures_of_days_and_services(db: Connection) -> None:
    clock = Clock(db, NOON - timedelta(days=2))
    spend(db, 7, service="import")
    call(db, "settle", reserve(db, 5, "svc"), 3)
    call(db, "cancel", reserve(db, 2, "svc"))
    clock.set(NOON)
    reserve(db, 4, "svc")
    facts = read_facts(db, 3)
    assert [(day.day, day.settled, day.held, day.calls) for day in facts.days] == [
        (date(2025, 10, 1), Decimal(10), Decimal(0), 3),
        (date(2025, 10, 2), Decimal(0), Decimal(0), 0),
        (date(2025, 10, 3), Decimal(0), Decimal(4), 1),
    ]
    assert [row.service_name for row in facts.services] == ["import", "svc"]
    expect(facts.services[1], settled=3, held=4, cancelled=2, lapsed=0, calls=3)
    [hold] = facts.holds
    expect(hold, service_name="svc", estimated_cost=4, reserved_at=NOON, total=1)
    assert facts.read_at == NOON
    assert sum(day.calls for day in read_facts(db, 2).days) == 1


def test_estimates_against_actual_costs(db: Connection) -> None:
    for estimate, actual in ((5, 3), (5, 4), (5, 9), (5, 5)):
        call(db, "settle", reserve(db, estimate, "svc"), actual)
    call(db, "cancel", reserve(db, 50, "svc"))
    reserve(db, 6, "svc")
    spend(db, 7, service="import", metadata={"estimated_cost": "1"})
    svc, direct = read_facts(db, 1).accuracy or []
    expect(svc, service_name="svc", calls=4, estimated=20, actual=21, unestimated=0)
    expect(svc, over=2, over_amount=3, under=1, under_amount=4)
    expect(direct, service_name="import", calls=0, unestimated=1, unestimated_amount=7)


def test_the_days_are_those_of_the_zone_in_force(db: Connection) -> None:
    clock = Clock(db, NOON.replace(hour=23))
    configure(db, {"emergency_kill": 100, "timezone": "Asia/Tokyo"})
    call(db, "settle", reserve(db, 5, "svc"), 3)
    clock.advance(hours=1)
    facts = read_facts(db, 1)
    assert [(day.day, day.settled) for day in facts.days] == [(date(2025, 10, 4), Decimal(3))]
    assert [row.calls for row in facts.accuracy or []] == [1]
    db.execute("SET timezone = 'America/New_York'")
    assert read_facts(db, 1) == facts


def test_a_reader_sees_the_views_and_is_told_what_the_rest_needs(
    db: Connection, connect: Connect, write: Write, dsn: str
) -> None:
    reserve(db, 99, "svc")
    assert not call(db, "reserve", 5, "svc").can_proceed
    db.execute("DROP ROLE IF EXISTS onlooker; CREATE ROLE onlooker LOGIN; GRANT budget_reader TO onlooker")
    try:
        with psycopg.connect(dsn, user="onlooker", autocommit=True) as reader:
            page = write(connection=reader)
            facts = read_facts(reader, 1)
            assert (facts.accuracy, facts.unpriced) == (None, None)
            assert facts.days[0].held == 99
            assert text_of(page).count("Not shown: this role may not read") == 1
            assert "svc was refused" in text_of(page)
            for table in ("cost_tracking", "proposer_configs"):
                assert f"GRANT SELECT ON public.{table} TO budget_reader;" in text_of(page)
            db.execute("GRANT SELECT ON public.cost_tracking TO budget_reader")
            page = write(connection=reader)
            assert "GRANT SELECT ON public.cost_tracking" not in text_of(page)
    finally:
        db.execute("DROP OWNED BY onlooker; DROP ROLE onlooker")


def test_a_stranger_is_told_what_to_grant(db: Connection, dsn: str, tmp_path: Path) -> None:
    db.execute("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN")
    try:
        out = tmp_path / "report.html"
        done = invoke("report", "--out", str(out), dsn=make_conninfo(dsn, user="stranger"))
        assert (done.code, done.out, out.exists()) == (3, "", False)
        assert "permission denied" in done.err
    finally:
        db.execute("DROP ROLE stranger")


def test_whatever_a_caller_names_its_service_stays_text(db: Connection, write: Write) -> None:
    evil = "<script>alert(1)</script>&amp;\"'><img src=x onerror=alert(1)>"
    call(db, "settle", reserve(db, 5, evil), 3)
    reserve(db, 1, evil)
    reserve(db, 1, NASTY)
    db.execute("SELECT * FROM budget.reserve(500, %s)", [evil])
    db.execute("SELECT * FROM budget.freeze('<b>&')")
    page = write()
    html = page.read_text("utf-8")
    assert "<script" not in html
    assert "<img" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;&#34;&#39;&gt;&lt;img") >= 4
    assert "&lt;b&gt;&amp;" in html
    assert "\x1b" not in html
    assert "\u202e" not in html


@pytest.mark.parametrize(
    ("state", "says"),
    {
        "empty": ["Nothing was spent on these days.", "No hold is open.", "No hold was settled on these days."],
        "healthy": ["service 30", "26.60", "summaries 26.60 in 1."],
        "over": ["Today is over its limit by 62.20.", "summaries was refused"],
        "broken": ["so every reserve is refused. on_expiry must be", "There are no limits to compare with."],
        "frozen": [r"Frozen: every reserve is refused. the bill \x1b[31m runs away, [bold]ask[/bold] ada"],
        "extreme": ["999,999,999,999,999.12", "0.000000000001"],
    }.items(),
)
def test_every_state_is_told(db: Connection, write: Write, state: str, says: list[str]) -> None:
    STATES[state](db)
    text = text_of(write())
    for words in says:
        assert words in text
    assert ("Nothing was spent" in text) == (state == "empty")
    assert ("over its limit" in text) == (state in ("over", "extreme"))


def test_a_proposer_without_a_price_is_named(db: Connection, write: Write) -> None:
    db.cursor().executemany(
        """INSERT INTO public.proposer_configs (name, model, provider, cost_profile, active)
           VALUES (%s, 'm', 'p', %s, %s)""",
        [
            ("priced", '{"input_cost_per_token": 0, "output_cost_per_token": 1e-6}', True),
            ("half", '{"input_cost_per_token": 1e-6}', True),
            ("text", '{"input_cost_per_token": "1e-6", "output_cost_per_token": 1e-6}', True),
            ("retired", "{}", False),
        ],
    )
    assert read_facts(db, 1).unpriced == ["half", "text"]
    assert "Without a price half, text Active proposers" in text_of(write())


def test_nothing_is_fetched(db: Connection, write: Write) -> None:
    STATES["healthy"](db)
    html = write().read_text("utf-8")
    assert re.findall(r"(?:src|href|url|@import|http-equiv)\W[^>]*", html) == [
        "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\""
    ]
    assert "http" not in html.replace("http-equiv", "")


def test_a_limit_far_above_the_bars_is_named_and_not_drawn() -> None:
    chart = Chart("", [Column("", Decimal(3), Decimal(1))], [Line("soft", Decimal(20)), Line("limit", Decimal(21))], [])
    assert [chart.fits(line) for line in chart.lines] == [True, False]
    assert Chart("", [Column("", Decimal(0), Decimal(0))], chart.lines, []).fits(chart.lines[1])
    assert Chart("", [], [], []).percent(Decimal(0)) == "0.000"


def test_the_command_writes_the_page_and_the_figures(db: Connection, dsn: str, tmp_path: Path) -> None:
    STATES["healthy"](db)
    out = tmp_path / "report.html"
    done = invoke("report", "--days", "7", "--out", str(out), dsn=dsn)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{out}: 7 days of {db.info.dbname}\n"
    assert "</html>" in out.read_text("utf-8")
    assert invoke("report", "--out", "-", dsn=dsn).out.startswith("<!DOCTYPE html>")
    figures = json.loads(invoke("report", "--days", "7", "--json", dsn=dsn).out)
    assert len(figures["days"]) == 7
    assert figures["days"][-1]["settled"] == "26.6"
    assert invoke("report", "--days", "0", dsn=dsn).code == 2
