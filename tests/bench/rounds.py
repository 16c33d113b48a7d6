"""A case: subjects that are compared under one load, in rounds that run each of them once, in turning order."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.bench import pgbench
from tests.bench.ledgers import Ledgers, today
from tests.bench.subjects import Subject

# More calls of a subject that reads no sum.
LONGER = 5

Figures = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What is compared, at how many rows in the day, by how many clients with so many calls in all per batch."""

    name: str
    subjects: tuple[Subject, ...]
    rows: int
    clients: int
    calls: int
    rounds: int

    def __str__(self) -> str:
        return f"{self.name}: {self.rows} rows, {self.clients} clients"


@dataclass
class _Tally:
    """What the batches of a subject gave so far."""

    batches: list[Figures] = field(default_factory=list)
    latencies_us: list[int] = field(default_factory=list)

    def figures(self) -> Figures:
        return {
            "tps": statistics.median(batch["tps"] for batch in self.batches),
            "p50_us": percentile(self.latencies_us, 0.50),
            "p99_us": percentile(self.latencies_us, 0.99),
            "cpu_us": statistics.median(batch["cpu_us"] for batch in self.batches),
            "batches": self.batches,
        }


def measure(ledgers: Ledgers, case: Case) -> Figures:
    """Run all rounds of a case; once more if midnight came between, because then the day was another."""
    while True:
        day = today()
        for subject in case.subjects:
            ledgers[subject.kind].fill_today(case.rows)
        tallies = {subject.name: _Tally() for subject in case.subjects}
        for turn in range(case.rounds):
            for subject in _turned(case.subjects, turn):
                _run(ledgers, case, subject, tallies[subject.name])
        if day == today():
            return {
                "case": case.name,
                "rows": case.rows,
                "clients": case.clients,
                "subjects": {name: tally.figures() for name, tally in tallies.items()},
            }


def _turned(subjects: tuple[Subject, ...], turn: int) -> tuple[Subject, ...]:
    """Each comes first in turn, and every other round is run backwards."""
    first = turn % len(subjects)
    turned = subjects[first:] + subjects[:first]
    return turned if turn % 2 == 0 else turned[::-1]


def _run(ledgers: Ledgers, case: Case, subject: Subject, tally: _Tally) -> None:
    ledger = ledgers[subject.kind]
    ledger.empty_batch()
    calls = case.calls if subject.sums else case.calls * LONGER
    batch = pgbench.run(
        ledgers.server.bin_dir, ledger, subject, clients=case.clients, transactions=math.ceil(calls / case.clients)
    )
    tally.latencies_us += batch.latencies_us
    tally.batches.append(
        {
            "tps": round(batch.tps, 1),
            "p50_us": percentile(batch.latencies_us, 0.50),
            "p99_us": percentile(batch.latencies_us, 0.99),
            "cpu_us": round(batch.cpu_us, 1),
        }
    )


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
