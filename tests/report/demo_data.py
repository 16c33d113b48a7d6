"""A month of an application that never was, the same in every run; for the tests and for the picture in the README.

python -m tests.report.demo_data docs/images/report.png
"""

from __future__ import annotations

import random
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from pgbudget.embedded import Server
from pgbudget.migrations import migrate
from tests.clock import Clock
from tests.report.browser import screenshot
from tests.rows import call, configure

NOW = datetime(2025, 10, 31, 15, 20, tzinfo=timezone.utc)
SERVICES = {
    "code review": ("1.20", 18),
    "summaries": ("0.40", 26),
    "triage": ("0.25", 9),
    "search": ("0.05", 40),
}
"""What a call of each costs, about, and how many a day make."""


def fill(db: psycopg.Connection[Any], days: int = 30) -> None:
    """Live through the days up to `NOW`, whose clock the database keeps."""
    dice = random.Random(20251031)  # noqa: S311 - the same month in every run
    clock = Clock(db, NOW - timedelta(days=days))
    configure(db, {"emergency_kill": 60, "daily_hard_cap": 50, "daily_soft_cap": 35})
    db.execute(
        """INSERT INTO public.proposer_configs (name, model, provider, cost_profile)
           VALUES ('gpt-4o', 'gpt-4o', 'openai', '{"input_cost_per_token": 0.0000025}')"""
    )
    moments = []
    for back in range(days):
        midnight = NOW.replace(hour=0, minute=0) - timedelta(days=back)
        busy = dice.uniform(0.7, 1.6) * (0.35 if midnight.weekday() > 4 else 1)
        for service, (_, calls) in SERVICES.items():
            hours = (dice.triangular(6, 23, 14) for _ in range(round(calls * busy)))
            moments += [(midnight + timedelta(hours=hour), service) for hour in hours]
    for at, service in sorted(moments):
        if at > NOW:
            break
        clock.set(at)
        estimate = Decimal(SERVICES[service][0]) * 2
        verdict = call(db, "reserve", estimate, service)
        if verdict.can_proceed and at < NOW - timedelta(minutes=25):
            if dice.random() < 0.05:
                call(db, "cancel", verdict.reservation_id)
            else:
                actual = estimate * Decimal(round(dice.lognormvariate(-0.5, 0.45), 4))
                call(db, "settle", verdict.reservation_id, round(actual, 4))
    clock.set(NOW)
    call(db, "record", Decimal("3.20"), "import")


def main(picture: Path) -> None:
    """Make the picture of the README."""
    from pgbudget.report import read_facts, report_page  # noqa: PLC0415

    with Server(settings={"fsync": "off"}) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            admin.execute("CREATE DATABASE app")
        migrate(server.dsn("app"))
        with psycopg.connect(server.dsn("app"), autocommit=True) as db, tempfile.TemporaryDirectory() as folder:
            fill(db)
            page = Path(folder, "report.html")
            page.write_text(report_page(read_facts(db, 30)), "utf-8")
            screenshot(page, picture, width=900, height=1150)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
