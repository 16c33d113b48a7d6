"""Compares subjects at once: python -m tests.bench.ab [--help]. The first one named is what the others are held to.

Each round runs every subject once, in an order that turns from round to round, and gives one ratio; what is printed is
the median of the rounds' ratios between their quartiles.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.bench import pgbench
from tests.bench.ledgers import Ledger, bench_server
from tests.bench.subjects import SUBJECTS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subjects", nargs="*", default=["handover", "advisory"], help=f"of {list(SUBJECTS)}")
    parser.add_argument("--rows", type=int, default=1000, help="settled rows in the day")
    parser.add_argument("--past", type=int, default=0, help="rows of the year before")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=200, help="of all clients in a batch")
    parser.add_argument(
        "--sql", type=Path, help="apply a file to a copy of pgbudget; 'NAME, changed' is measured there"
    )
    options = parser.parse_args()

    subjects = {name: SUBJECTS[name] for name in options.subjects}
    if options.sql:
        subjects |= {f"{name}, changed": subject for name, subject in subjects.items() if subject.ledger == "pgbudget"}
    batches: dict[str, list[pgbench.Batch]] = {name: [] for name in subjects}
    with bench_server() as server:
        ledgers: dict[str, Ledger] = {}
        for name, subject in subjects.items():
            sql = options.sql.read_text() if name.endswith(", changed") else ""
            ledgers[name] = Ledger(server, f"ledger_{len(ledgers)}", subject.ledger, sql=sql)
            ledgers[name].fill_past(options.past)
            ledgers[name].fill_today(options.rows)
        for turn in track(range(options.rounds), transient=True):
            names = list(subjects)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                ledgers[name].empty_batch()
                batch = pgbench.run(
                    server.bin_dir,
                    ledgers[name].dsn,
                    subjects[name],
                    clients=options.clients,
                    transactions=max(1, options.calls // options.clients),
                    when_warm=ledgers[name].vacuum,
                )
                batches[name].append(batch)
    show(batches)


def show(batches: dict[str, list[pgbench.Batch]]) -> None:
    table = Table("subject", "calls/s", "p50 µs", "p99 µs", "CPU µs/call", "throughput", "p50 - first's")
    first = next(iter(batches.values()))
    for name, own in batches.items():
        p50s = [statistics.median(batch.latencies_us) for batch in own]
        latencies = sorted(latency for batch in own for latency in batch.latencies_us)
        low, ratio, high = statistics.quantiles([b.tps / a.tps for a, b in zip(first, own, strict=True)], n=4)
        slower = [p50 - statistics.median(batch.latencies_us) for p50, batch in zip(p50s, first, strict=True)]
        table.add_row(
            name,
            f"{statistics.median(batch.tps for batch in own):.0f}",
            f"{statistics.median(p50s):.0f}",
            f"{latencies[int(len(latencies) * 0.99)]}",
            f"{statistics.median(batch.cpu_us for batch in own):.0f}",
            f"{ratio:.3f} ({low:.3f} to {high:.3f})",
            f"{statistics.median(slower):+.0f} µs",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
