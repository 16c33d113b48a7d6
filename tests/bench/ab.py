"""Compares subjects at once: python -m tests.bench.ab [--help]. The first one named is what the others are held to."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.ledgers import KINDS, Ledgers, bench_server
from tests.bench.results import Spread, difference, ratio
from tests.bench.rounds import Case, Figures, Load, measure
from tests.bench.steps import profile
from tests.bench.subjects import SUBJECTS, Subject
from tests.bench.tables import steps

CHANGED = ", changed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = ["handover", "reserve_advisory"]
    parser.add_argument("subjects", nargs="*", default=default, help=f"of: {'; '.join(SUBJECTS)}")
    parser.add_argument("--rows", type=int, default=1_000, help="settled rows in the day")
    parser.add_argument("--old-rows", type=int, default=5_000_000, help="of subjects whose ledger has old rows")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=200, help="of all clients in a batch")
    parser.add_argument("--sql", type=Path, help="measure the subjects of pgbudget after this file's changes too")
    parser.add_argument("--steps", action="store_true", help="show where the time of reserve_advisory goes, too")
    options = parser.parse_args()

    kinds, subjects = dict(KINDS), [SUBJECTS[name] for name in options.subjects]
    if options.sql:
        for subject in [subject for subject in subjects if KINDS[subject.kind].series]:
            kind = KINDS[subject.kind]
            kinds[subject.kind + CHANGED] = dataclasses.replace(kind, sql=kind.sql + options.sql.read_text())
            subjects.append(Subject(subject.name + CHANGED, subject.kind + CHANGED, subject.script, subject.times))
    case = Case.alike("ab", subjects, Load(options.rows, options.clients, options.calls), options.rounds)
    with bench_server() as server, Ledgers(server, options.old_rows, kinds) as ledgers:
        console = Console()
        console.width = max(console.width, 120)
        console.print(table(measure(ledgers, case)))
        if options.steps:
            taken = {"calls": options.calls, "rounds": options.rounds}
            profiles = [
                profile(ledgers, "reserve_advisory", options.rows, in_transaction=whole, **taken)
                for whole in (False, True)
            ]
            console.print(steps("µs of a call", profiles).rich())


def table(case: Figures) -> Table:
    table = Table("subject", "per s", "p50 µs", "p99 µs", "CPU µs", "throughput to the first's", "p50 above it, µs")
    first = next(iter(case["subjects"]))
    for name, figures in case["subjects"].items():
        numbers = [f"{figures[figure]:,.0f}" for figure in ("tps", "p50_us", "p99_us", "cpu_us")]
        above = difference(case, name, first, "p50_us")
        table.add_row(name, *numbers, _shown(ratio(case, name, first), ".3f"), _shown(above, "+.0f"))
    return table


def _shown(spread: Spread, form: str) -> str:
    return f"{spread.median:{form}} ({spread.low:{form}} to {spread.high:{form}})"


if __name__ == "__main__":
    main()
