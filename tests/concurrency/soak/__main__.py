"""Runs the mixed load for as long as asked: python -m tests.concurrency.soak [--help]. It fails if a fault is found.

The database has the series of the environment, as in the tests: core, or with SERIES=budgets SLOTS=16 the other.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime, timezone
from pathlib import Path

import psycopg

from pgbudget.embedded import Server
from tests import chain
from tests.bench.machine import machine, server_facts
from tests.concurrency.soak.load import run
from tests.series import SERIES, SLOTS

# The ledger churns: the space of its dead rows is to be had again soon.
SETTINGS = {"autovacuum_naptime": "5s", "shared_buffers": "256MB"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    options = parser.parse_args()

    date, on = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC", machine()
    series = {"series": SERIES, "slots": SLOTS}
    with Server(settings=SETTINGS) as server:
        dsn = server.dsn()
        chain.load(dsn)
        report = run(dsn, options.clients, options.seconds)
        with psycopg.connect(dsn, autocommit=True) as connection:
            facts = server_facts(server, connection)
    print(f"{date}: PostgreSQL {facts['postgresql']}, {on['cores']} cores of {on['processor']}")
    print(f"series     {SERIES}, the day's room in {SLOTS} slot{'s' * (SLOTS > 1)}")
    print(*report.lines(), sep="\n")
    if options.json:
        text = json.dumps({"date": date, **series, "machine": on, "server": facts, **report.as_json()}, indent=2) + "\n"
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(text, "utf-8")
    sys.exit("\n".join(report.faults()) or None)


if __name__ == "__main__":
    main()
