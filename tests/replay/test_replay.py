"""A replay: every figure of a small log worked out by hand, and a larger one against plain sums."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgbudget import replay as replaying
from pgbudget.embedded import Server
from pgbudget.replay import Defaults, Plan, read_log, replay, scratch
from tests.cli.command import invoke
from tests.cli.terminal import COLUMNS
from tests.report.browser import overflow

# Of 100: a's 40 count until 10:00, so b's 20 find no room at 09:20; c ends 10 above its estimate, and the day is full.
SMALL = """\
time,service,estimate,actual,duration_s
2025-10-03T09:00:00Z,a,40,10,3600
2025-10-03T09:10:00Z,b,50,50,60
2025-10-03T09:20:00Z,b,20,15,60
2025-10-03T10:00:00Z,c,30,40,600
2025-10-03T10:05:00Z,c,200,1,600
2025-10-03T23:59:00Z,d,10,,120
2025-10-04T00:00:00Z,a,5,5,0
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "calls.csv"
    path.write_text(SMALL, "utf-8")
    return path


def replayed(server: Server, *arguments: str) -> list[dict[str, Any]]:
    done = invoke("replay", "--dsn", server.dsn(), "--json", *arguments, dsn="")
    assert (done.code, done.err.strip()) == (0, "")
    found: list[dict[str, Any]] = json.loads(done.out)["replays"]
    return found


def at(text: str) -> str:
    return f"2025-10-{text}:00+00:00"


def test_a_small_log_worked_out_by_hand(server: Server, log: Path) -> None:
    arguments = [str(log), "--rule", "logged", "--ttl", "2h"]
    first, again = replayed(server, *arguments), replayed(server, *arguments)
    assert first == again
    [found] = first
    refusals = found.pop("refusals")
    assert [
        (one["line"], one["at"], one["reason"], one["current_total"], one["retry_at"], one["needless"])
        for one in refusals
    ] == [
        (4, at("03T09:20"), "in_flight", "90", at("03T11:00"), True),
        (6, at("03T10:05"), "too_large", "90", None, True),
        (7, at("03T23:59"), "exhausted", "100", at("04T00:00"), True),
    ]
    assert {name: Decimal(v) if isinstance(v, str) and v[0].isdigit() else v for name, v in found.items()} == {
        "rule": "logged",
        "limit": 100,
        "granted": 4,
        "refused": 3,
        "needless": 3,
        "reasons": {"exhausted": 1, "in_flight": 1, "too_large": 1},
        "spent": 105,
        "refused_spend": 16,
        "peak_held": {"amount": "90", "at": at("03T09:10")},
        "peak_total": {"amount": "100", "at": at("03T10:10")},
        "peak_lost": {"amount": "30", "at": at("03T09:00")},
        "over": 1,
        "over_amount": 30,
        "under": 1,
        "under_amount": 10,
        "late": 0,
    }


def test_a_hold_that_lapses_frees_its_money_or_keeps_it(server: Server, log: Path) -> None:
    short = [str(log), "--rule", "logged", "--ttl", "15m"]
    [released], [kept] = replayed(server, *short), replayed(server, *short, "--on-expiry", "keep")
    # a's 40 lapse at 09:15: line 4 fits. When it settles at 10:00 its 10 count, and with 50 and 15 c's 30 do not fit.
    assert ([one["line"] for one in released["refusals"]], released["late"]) == ([5, 6], 1)
    assert Decimal(released["peak_total"]["amount"]) == 90
    assert [one["line"] for one in kept["refusals"]] == [4, 6, 7]


def test_every_limit_with_every_rule(server: Server, log: Path) -> None:
    found = replayed(server, str(log), "--limit", "60", "--limit", "1000", "--soft", "60", "--hard", "60")
    assert [(one["limit"], one["rule"], one["refused"]) for one in found] == [
        ("60", "logged", 3),
        ("60", "history", 3),
        ("1000", "logged", 0),
        ("1000", "history", 0),
    ]
    # When they come again, b has a history of 50, where the log says 20, and a one of 10 where it says 5.
    assert [Decimal(one["over_amount"]) for one in found[2:]] == [244, 279]


def test_tokens_and_tiers_have_the_prices_of_the_functions(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(
        "time,service,proposer,input_tokens,output_tokens,max_output_tokens,complexity_score,hard_stop_required\n"
        "2025-10-03T09:00Z,a,mini,1000,100,500,0.1,\n"
        "2025-10-03T10:00Z,a,mini,1000,,,0.5,\n"
        "2025-10-03T11:00Z,a,mini,2000,300,,0.1,true\n",
        "utf-8",
    )
    options = ["--price", "mini=0.001,0.01", "--max-output-tokens", "50"]
    tier, tokens, history = replayed(server, str(path), *options)
    assert [one["rule"] for one in (tier, tokens, history)] == ["tier", "tokens", "history"]
    assert {Decimal(one["spent"]) for one in (tier, tokens, history)} == {Decimal(2 + 5)}
    # Tiers 0.10, 1.00 and 2.50; ceilings 6, 1.50 and 2.50; the history knows the first call's 2 from then on.
    for one, over, under in ((tier, 1, Decimal("4.4")), (tokens, Decimal("5.5"), Decimal("2.5")), (history, 6, 3)):
        assert (Decimal(one["over_amount"]), Decimal(one["under_amount"])) == (over, under)


def test_prices_are_those_of_the_database_too(dsn: str, db: psycopg.Connection[Any]) -> None:
    db.cursor().executemany(
        "INSERT INTO public.proposer_configs (name, model, provider, cost_profile) VALUES (%s, '', '', %s)",
        [
            ("mini", '{"input_cost_per_token": 0.001, "output_cost_per_token": 0.01}'),
            ("half", '{"input_cost_per_token": 0.001}'),
        ],
    )
    assert replaying.prices_in(dsn) == {"mini": (Decimal("0.001"), Decimal("0.01"))}


def random_log(calls: int, days: int) -> list[str]:
    dice = random.Random(20251003)  # noqa: S311 - the same log in every run
    first = datetime(2025, 10, 3, tzinfo=timezone.utc)
    lines = ["time,service,estimate,actual,duration_s\n"]
    for _ in range(calls):
        begin = first + timedelta(seconds=dice.randrange(86_400 * days))
        estimate = Decimal(dice.choice(("0.1", "0.25", "0.5", "1")))
        actual = round(estimate * Decimal(dice.lognormvariate(-0.5, 0.5)), 4)
        lines.append(f"{begin.isoformat()},service {dice.randrange(4)},{estimate},{actual},{dice.randrange(0, 5000)}\n")
    return lines


def test_the_totals_are_those_of_plain_sums(server: Server) -> None:
    """Each verdict of a random log, with holds that lapse, against sums over all calls before it."""
    calls = read_log(random_log(500, 3), Defaults(timedelta(0))).calls
    plan = Plan(["logged"], [Decimal(40)], {"reservation_ttl": "1 hour"}, Decimal("0.9"), None)
    with scratch(server.dsn()) as made:
        [found] = replay(made, calls, {}, plan, lambda *_: None)
        with psycopg.connect(made) as connection:
            answers: dict[int, Any] = dict(
                connection.execute("SELECT line, (can_proceed, current_total) FROM replay.answer").fetchall()
            )
    granted: list[replaying.Call] = []
    for call in sorted(calls, key=lambda call: (call.at, call.line)):
        total = sum(counted(other, call) for other in granted if other.at.date() == call.at.date())
        fits = total + (call.logged or 0) <= 40
        assert (answers[call.line][0], Decimal(answers[call.line][1])) == (str(fits)[0].lower(), total), call
        if fits:
            granted.append(call)
    assert (found.granted, found.refused) == (len(granted), 500 - len(granted))
    assert found.refused > 50
    assert found.late == sum(call.ended_at - call.at >= timedelta(hours=1) for call in granted) > 50


def counted(other: replaying.Call, call: replaying.Call) -> Decimal:
    """What a granted call counts when another begins."""
    if other.ended_at <= call.at:
        return other.actual or Decimal(0)
    return (other.logged or Decimal(0)) if call.at < other.at + timedelta(hours=1) else Decimal(0)


def test_a_log_of_some_size_is_done_and_told_of(server: Server) -> None:
    calls = read_log(random_log(2_000, 10), Defaults(timedelta(0))).calls
    plan = Plan(["logged"], [Decimal(100_000)], {}, Decimal("0.9"), None)
    told: list[tuple[int, int]] = []
    with scratch(server.dsn()) as made:
        [found] = replay(made, calls, {}, plan, lambda done, total: told.append((done, total)))
    assert found.granted == 2_000
    assert told == [(done, 4_000) for done in range(500, 4_001, 500)]


def test_the_page_fits_a_phone_and_a_desk(server: Server, log: Path, tmp_path: Path) -> None:
    log.write_text(SMALL + f"2025-10-04T09:00:00Z,{'x' * 200},99999999999999.123456789012,1,1\n", "utf-8")
    page = tmp_path / "replay.html"
    assert invoke("replay", str(log), "--dsn", server.dsn(), "--out", str(page), dsn="").code == 0
    page.write_text(page.read_text("utf-8").replace("<details>", "<details open>"), "utf-8")
    assert overflow(page, 360, 1200) == [(0, []), (0, [])]


def databases(server: Server) -> set[str]:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        return {name for (name,) in admin.execute("SELECT datname FROM pg_database")}


def test_the_table_and_the_page_and_nothing_is_left_behind(server: Server, log: Path, tmp_path: Path) -> None:
    before = databases(server)
    page = tmp_path / "replay.html"
    for width in (COLUMNS, 200):
        done = invoke("replay", str(log), "--dsn", server.dsn(), "--out", str(page), dsn="", width=width)
        assert done.code == 0
        lines = done.out.splitlines()
        assert max(map(len, lines)) <= width
        rows = {" ".join(line.split()) for line in lines}
        assert {"granted 4 4", "refused 3 3", "first 10-03 09:20 10-03 09:20", "2025-10-03 3 3"} <= rows
    html = page.read_text("utf-8")
    assert "<h2>Estimate rule history, limit 100.00 a day</h2>" in html
    assert html.count('<rect class="refused"') == 2 * 3
    assert databases(server) == before


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        (SMALL + "2025-10-05T09:00:00Z,a,lots,1,1\n", (), "line 9: estimate 'lots' is not a number"),
        (SMALL, ("--rule", "tier"), "the log lacks what tier needs"),
        (SMALL, ("--price", "mini=1"), "is not a price"),
        (SMALL, ("--limit", "lots"), "'lots' is not an amount"),
        ("time,service,actual\n2025-10-03,a,1\n", (), "the log lacks what any rule needs"),
    ],
)
def test_a_users_error_is_a_message(tmp_path: Path, text: str, options: Sequence[str], says: str) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(text, "utf-8")
    done = invoke("replay", str(path), *options, dsn="")
    assert (done.code, done.out) == (2, "")
    assert says in " ".join(done.err.split())


def test_a_file_that_is_not_text_is_an_error_too(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_bytes(b"time,service,actual\n2025-10-03,\xff,1\n")
    done = invoke("replay", str(path), dsn="")
    assert (done.code, "not UTF-8" in done.err) == (2, True)


def test_limits_that_do_not_fit_together_are_told(server: Server, log: Path) -> None:
    done = invoke("replay", str(log), "--limit", "10", "--soft", "20", "--dsn", server.dsn(), dsn="")
    assert done.code == 1
    assert "these limits cannot be set" in done.err
