"""The file of results, and what is read from it: figures, ratios with their spread, and whether the targets hold."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.rounds import Figures


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, between their quartiles."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(low, median, high)


class Results:
    """What a run wrote."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    @classmethod
    def load(cls, path: Path) -> Results:
        return cls(json.loads(path.read_text("utf-8")))

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self.data, indent=1) + "\n", "utf-8")

    @property
    def digest(self) -> str:
        """Tells these results from all others."""
        return hashlib.sha256(json.dumps(self.data, sort_keys=True).encode()).hexdigest()

    def cases(self, name: str) -> Iterator[Figures]:
        """The cases of this name, one for each number of rows and of clients."""
        return (case for case in self.data["cases"] if case["case"] == name)

    def case(self, name: str, rows: int, clients: int) -> Figures:
        return next(case for case in self.cases(name) if (case["rows"], case["clients"]) == (rows, clients))

    def entries(self, name: str, subject: str, commit_delay_us: int = 0) -> list[Figures]:
        """The figures of a subject in the cases of this name, with commits so much slower: one for each load."""
        return [
            figures
            for case in self.cases(name)
            for figures in case["subjects"].values()
            if figures["subject"] == subject and case["commit_delay_us"] == commit_delay_us
        ]

    def holding(self, name: str, entry: str, commit_delay_us: int = 0) -> Figures:
        """The case of this name that has this entry, measured with commits so much slower."""
        return next(
            case
            for case in self.cases(name)
            if entry in case["subjects"] and case["commit_delay_us"] == commit_delay_us
        )


def ratio(case: Figures, subject: str, to: str, figure: str = "tps") -> Spread:
    """A subject's figure divided by another's, round by round."""
    return Spread.of([own[figure] / other[figure] for own, other in _rounds(case, subject, to)])


def difference(case: Figures, subject: str, to: str, figure: str) -> Spread:
    """A subject's figure less another's, round by round."""
    return Spread.of([own[figure] - other[figure] for own, other in _rounds(case, subject, to)])


def _rounds(case: Figures, subject: str, to: str) -> Iterator[tuple[Figures, Figures]]:
    subjects = case["subjects"]
    return zip(subjects[subject]["batches"], subjects[to]["batches"], strict=True)
