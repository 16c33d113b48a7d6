"""docs/monitoring: its SQL runs as a reader, and its dashboard and rules use what that SQL gives."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from psycopg.rows import dict_row

from tests.clock import Clock
from tests.rows import Connection, configure, reserve, spend

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"
PANELS = json.loads((MONITORING / "dashboard.json").read_text("utf-8"))["panels"]
QUERIES = yaml.safe_load((MONITORING / "queries.yaml").read_text("utf-8"))
[GROUP] = yaml.safe_load((MONITORING / "alerts.yaml").read_text("utf-8"))["groups"]
RULES = {rule["alert"]: rule for rule in GROUP["rules"]}
FUNCTIONS = {"absent"}


def columns(query: str) -> dict[str, dict[str, str]]:
    """What the exporter is told of a query: its columns by their names."""
    return {name: column for metric in QUERIES[query]["metrics"] for name, column in metric.items()}


GAUGES = {f"{query}_{name}" for query in QUERIES for name, kind in columns(query).items() if kind["usage"] == "GAUGE"}


@pytest.fixture
def reader(db: Connection) -> Connection:
    """A reader, on a day with spend, a hold of half an hour ago, and what was cancelled."""
    clock = Clock(db)
    hold = reserve(db, 5)
    spend(db, 12)
    db.execute("SELECT FROM budget.cancel(%s)", [hold])
    reserve(db, 8)
    clock.advance(minutes=30)
    db.execute("SET ROLE budget_reader")
    return db


def as_reader(reader: Connection, sql: str) -> list[dict[str, Any]]:
    with reader.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(sql.encode()).fetchall()


def scraped(reader: Connection) -> dict[str, float]:
    """The gauges that come once, as the exporter would name them."""
    return {
        f"{query}_{name}": value
        for query in ("budget", "budget_invariants")
        for row in as_reader(reader, QUERIES[query]["query"])
        for name, value in row.items()
    }


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_gives_the_columns_that_the_exporter_is_told_of(query: str, reader: Connection) -> None:
    answer = as_reader(reader, QUERIES[query]["query"])
    assert answer
    for row in answer:
        assert row.keys() == columns(query).keys()
        for name, value in row.items():
            assert isinstance(value, str if columns(query)[name]["usage"] == "LABEL" else (int, float)), name


def test_the_gauges_are_those_of_the_day(reader: Connection) -> None:
    gauges = scraped(reader)
    assert (gauges["budget_settled"], gauges["budget_held"], gauges["budget_remaining"]) == (12, 8, 80)
    assert (gauges["budget_soft_cap"], gauges["budget_hard_cap"], gauges["budget_limit"]) == (20, 50, 100)
    assert (gauges["budget_share_used"], gauges["budget_open_holds"]) == (0.2, 1)
    assert [gauges[f"budget_{name}"] for name in ("frozen", "config_error", "unknown_keys", "invariants_broken")] == [
        0
    ] * 4


@pytest.mark.parametrize(
    ("done", "gauges"),
    [
        ("SELECT budget.freeze('why')", {"budget_frozen": 1}),
        ("""SELECT budget.set_limits('{"emergency_kil": 1}')""", {"budget_unknown_keys": 1}),
        ("UPDATE public.system_config SET value = '{}'", {"budget_config_error": 1, "budget_limit": None}),
        ("DELETE FROM public.cost_tracking", {"budget_oldest_hold_age_seconds": 0, "budget_open_holds": 0}),
    ],
)
def test_what_is_alerted_on_shows(reader: Connection, done: str, gauges: dict[str, object]) -> None:
    reader.execute("RESET ROLE")
    reader.execute(done.encode())
    reader.execute("SET ROLE budget_reader")
    now = scraped(reader)
    assert {name: now[name] for name in gauges} == gauges


def test_an_old_hold_is_seen(db: Connection) -> None:
    reserve(db)
    db.execute("SELECT pg_sleep(0.1)")
    assert 0.1 <= scraped(db)["budget_oldest_hold_age_seconds"] < 600


def test_the_rules_use_what_the_queries_give() -> None:
    used = {name: set(re.findall(r"[a-z_]{2,}", rule["expr"])) - FUNCTIONS for name, rule in RULES.items()}
    assert {name: metrics for name, metrics in used.items() if not metrics or metrics - GAUGES} == {}
    for rule in GROUP["rules"]:
        assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert rule["labels"].keys() == {"severity"}
        assert rule["annotations"].keys() == {"summary"}


def test_the_page_explains_every_alert() -> None:
    assert re.findall(r"^\| `(Budget\w+)` \|", (MONITORING / "README.md").read_text("utf-8"), re.MULTILINE) == [*RULES]


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
@pytest.mark.parametrize("state", ["a day", "a broken configuration", "nothing spent"])
def test_a_panel_has_what_it_shows(panel: dict[str, Any], state: str, reader: Connection) -> None:
    reader.execute("RESET ROLE")
    if state == "a broken configuration":
        configure(reader, {})
    elif state == "nothing spent":
        reader.execute("TRUNCATE public.cost_tracking")
    reader.execute("SET ROLE budget_reader")
    [target] = panel["targets"]
    answer = as_reader(reader, target["rawSql"])
    if target["format"] == "time_series" and answer:
        assert "time" in answer[0]
    if state == "a day" and panel["title"] != "Broken rules":
        assert answer


def test_no_panel_covers_another() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    for a, b in combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
    assert max(place["x"] + place["w"] for place in places) == 24  # as wide as Grafana's grid
