"""A case: subjects that are compared under one load, in rounds that run each of them once, in turning order."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.bench import pgbench
from tests.bench.commits import slower_commits
from tests.bench.ledgers import Ledger, Ledgers, today
from tests.bench.subjects import Subject

Figures = dict[str, Any]


@dataclass(frozen=True)
class Load:
    """So many rows in the day, and so many clients with so many calls in all per batch.

    Loads of other sizes are compared in turns where each size has a ledger of its own, `kept` for it.
    """

    rows: int
    clients: int
    calls: int
    kept: bool = False


@dataclass(frozen=True)
class Entry:
    """A subject under a load, and its name in the case."""

    name: str
    subject: Subject
    load: Load

    def ledger(self, ledgers: Ledgers) -> Ledger:
        return ledgers.of(self.subject.kind, self.load.rows if self.load.kept else None)


@dataclass(frozen=True)
class Case:
    """What is compared in turns, and how much slower than the disk commits are made."""

    name: str
    entries: tuple[Entry, ...]
    rounds: int
    commit_delay_us: int = 0

    @classmethod
    def alike(cls, name: str, subjects: Iterable[Subject], load: Load, rounds: int, commit_delay_us: int = 0) -> Case:
        """All subjects under one load."""
        return cls(name, tuple(Entry(subject.name, subject, load) for subject in subjects), rounds, commit_delay_us)

    @classmethod
    def mixed(cls, name: str, tried: Iterable[tuple[Subject, Load]], rounds: int, commit_delay_us: int = 0) -> Case:
        """Each subject under loads of its own."""
        entries = (Entry(under(subject.name, load.rows, load.clients), subject, load) for subject, load in tried)
        return cls(name, tuple(entries), rounds, commit_delay_us)

    def __str__(self) -> str:
        rows = {entry.load.rows for entry in self.entries}
        clients = {entry.load.clients for entry in self.entries}
        slower = f", commits {self.commit_delay_us} µs slower" if self.commit_delay_us else ""
        return f"{self.name}: {_among(rows)} rows, {_among(clients)} clients{slower}"


def under(subject: str, rows: int, clients: int) -> str:
    """The name of a subject where it is compared under several loads."""
    return f"{subject}, {rows:,} rows, {clients} clients"


def _among(numbers: set[int]) -> str:
    return ", ".join(f"{number:,}" for number in sorted(numbers))


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
        for entry in case.entries:
            entry.ledger(ledgers).fill_today(entry.load.rows)
        tallies = {entry.name: _Tally() for entry in case.entries}
        with slower_commits(ledgers.server, case.commit_delay_us):
            for turn in range(case.rounds):
                for entry in _turned(case.entries, turn):
                    _run(ledgers, entry, tallies[entry.name])
        if day == today():
            return {
                "case": case.name,
                "commit_delay_us": case.commit_delay_us,
                **_shared_load(case),
                "subjects": {
                    entry.name: {"subject": entry.subject.name, **_load(entry), **tallies[entry.name].figures()}
                    for entry in case.entries
                },
            }


def _load(entry: Entry) -> Figures:
    return {"rows": entry.load.rows, "clients": entry.load.clients}


def _shared_load(case: Case) -> Figures:
    first, *others = (_load(entry) for entry in case.entries)
    return first if all(other == first for other in others) else {}


def _turned(entries: tuple[Entry, ...], turn: int) -> tuple[Entry, ...]:
    """Each comes first in turn, and every other round is run backwards."""
    first = turn % len(entries)
    turned = entries[first:] + entries[:first]
    return turned if turn % 2 == 0 else turned[::-1]


def _run(ledgers: Ledgers, entry: Entry, tally: _Tally) -> None:
    ledger, subject, load = entry.ledger(ledgers), entry.subject, entry.load
    ledger.empty_batch()
    transactions = math.ceil(load.calls * subject.times / load.clients)
    batch = pgbench.run(ledgers.server.bin_dir, ledger, subject, clients=load.clients, transactions=transactions)
    tally.latencies_us += batch.latencies_us
    tally.batches.append(
        {
            "tps": round(batch.tps * subject.at_once, 1),
            "p50_us": percentile(batch.latencies_us, 0.50),
            "p99_us": percentile(batch.latencies_us, 0.99),
            "cpu_us": round(batch.cpu_us / subject.at_once, 1),
        }
    )


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
