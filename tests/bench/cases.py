"""The cases of a run: what is compared with what, at which sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.bench.rounds import Case, Load
from tests.bench.subjects import SUBJECTS

CALLS = ("INSERT", "handover", "reserve", "reserve_advisory")
PAIRS = ("INSERT + UPDATE", "reserve + settle", "reserve_advisory + settle")
# By one client and at some sizes alone.
MORE: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "old rows": (
        (1, 3),
        (
            "reserve_advisory",
            "reserve_advisory, old rows",
            "reserve_advisory + settle",
            "reserve_advisory + settle, old rows",
        ),
    ),
    "old rows of the handover": ((1,), ("handover", "handover, old rows")),
    "plain index": (
        (1, 2, 3),
        (
            "check",
            "check, plain index",
            "reserve_advisory + settle",
            "reserve_advisory + settle, plain index",
        ),
    ),
    "plain index, lived day": ((1, 2), ("check, lived day", "check, lived day, plain index")),
}


@dataclass(frozen=True)
class Scale:
    """How large a run is. The four sizes of the day are numbered where a case takes some of them only."""

    name: str
    rows: tuple[int, int, int, int]
    clients: tuple[int, ...]
    old_rows: int
    # Per batch at each of the sizes; a day must not grow much in a batch, and a large one makes calls slow.
    calls: tuple[int, int, int, int]
    rounds: tuple[int, int, int, int]
    # Of the profile, and pairs of calls in one backend, for its updates and for its memory.
    samples: int
    pairs: int
    memory_pairs: int

    def with_rounds(self, rounds: int | None) -> Scale:
        """The same with so many rounds in every case."""
        return self if rounds is None else replace(self, rounds=(rounds,) * 4)

    def cases(self) -> Iterator[Case]:
        """Each size of the day in turn, from the smallest."""
        for size in range(4):
            for clients in self.clients:
                yield self._case("calls", CALLS, size, clients)
                yield self._case("pairs", PAIRS, size, clients)
            for name, (sizes, subjects) in MORE.items():
                if size in sizes:
                    yield self._case(name, subjects, size, 1)

    def _case(self, name: str, subjects: tuple[str, ...], size: int, clients: int) -> Case:
        few = name == "old rows of the handover"  # each of these calls reads millions of rows
        return Case.alike(
            name,
            [SUBJECTS[subject] for subject in subjects],
            Load(self.rows[size], clients, calls=5 if few else max(self.calls[size], 2 * clients)),
            rounds=max(2, self.rounds[size] // (3 if few or clients >= 64 else 1)),
        )


FULL = Scale(
    "full",
    rows=(0, 1_000, 10_000, 100_000),
    clients=(1, 16, 64),
    old_rows=5_000_000,
    calls=(100, 100, 160, 64),
    rounds=(20, 30, 16, 10),
    samples=9,
    pairs=500,
    memory_pairs=5_000,
)
QUICK = Scale(
    "quick",
    rows=(0, 10, 20, 40),
    clients=(2,),
    old_rows=100,
    calls=(4, 4, 4, 4),
    rounds=(2, 2, 2, 2),
    samples=2,
    pairs=5,
    memory_pairs=5,
)
