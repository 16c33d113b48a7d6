"""Random programs: what each client does in a history, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.concurrency.histories.operations import (
    EXEMPT,
    Cancel,
    Check,
    Delete,
    Expire,
    Extend,
    Freeze,
    Insert,
    InsertHold,
    Operation,
    Record,
    Reserve,
    ReserveAdvisory,
    SetLimits,
    SetSlots,
    Settle,
    Unfreeze,
    Update,
)
from tests.concurrency.histories.state import HOUR, Config

CLIENTS = 8
LENGTHS = range(5, 21)
HOLDS = range(1, 5)
RECORDS = range(5, 7)
SPENT = 100

AT_BIRTH, SOON = 1, 10_000
"""A hold that lapses at once, and one that lapses while the others are at it."""


@dataclass(frozen=True)
class Program:
    seed: int
    config: Config
    keeps: bool
    prologue: tuple[Operation, ...]
    """What one client does before the others begin."""
    clients: tuple[tuple[Operation, ...], ...]
    slots: int = 1
    """Over how many rows the room is spread."""


class Writer:
    """Writes one program."""

    def __init__(self, seed: int, slots: int) -> None:
        self.seed = seed
        self.slots = slots
        self.dice = random.Random(seed)  # noqa: S311 - the same program for the same seed
        # Costs are such that a sum says of what it is one, and some fit where others do not.
        self.costs = {row_id: self.dice.randrange(100, 4000) for row_id in (*HOLDS, *RECORDS)}
        self.freezes = 0

    def write(self) -> Program:
        dice = self.dice
        prologue = [Insert(SPENT, dice.randrange(0, 6000)), *(self.reserve() for _ in range(dice.randrange(5)))]
        clients = [[self.operation() for _ in range(self.length())] for _ in range(CLIENTS)]
        return Program(
            self.seed,
            Config(kill=10_000, soft=3_000),
            dice.random() < 0.15,
            tuple(prologue),
            tuple(map(tuple, clients)),
            self.slots,
        )

    def length(self) -> int:
        """Short ones find races as well as long ones do, and sooner."""
        return min(self.dice.choices(LENGTHS, k=3))

    def hold(self) -> int:
        return self.dice.choice(HOLDS)

    def cost(self, row_id: int) -> int:
        """About that of the row, so that some are less, some are more, and many are repeats."""
        return max(0, self.costs[row_id] + self.dice.choice([0, 0, -150, 300]))

    def ttl(self) -> int:
        return self.dice.choice([HOUR, HOUR, HOUR, AT_BIRTH, SOON])

    def reserve(self) -> Operation:
        dice = self.dice
        kind = dice.choice([Reserve, ReserveAdvisory])
        service = EXEMPT if dice.random() < 0.05 else f"service {dice.randrange(3)}"
        if dice.random() < 0.4:
            return kind(None, dice.choice([dice.randrange(100, 4000), dice.randrange(11_000)]), service, self.ttl())
        hold = self.hold()
        cost = self.costs[hold] + (dice.random() < 0.05)
        return kind(hold, cost, "service 0", self.ttl())

    def record(self) -> Operation:
        dice = self.dice
        if dice.random() < 0.6:
            return Record(None, dice.randrange(0, 500), "service 1")
        record = dice.choice(RECORDS) if dice.random() < 0.9 else self.hold()
        return Record(record, self.costs[record] // 10, "service 1")

    def extend(self) -> Operation:
        hold = self.hold()
        return Extend(hold, self.dice.choice([None, self.cost(hold)]), self.dice.choice([None, HOUR, SOON]))

    def insert(self) -> Operation:
        dice, row_id = self.dice, None
        if dice.random() < 0.3:
            return InsertHold(self.hold(), dice.randrange(100, 1500))
        if dice.random() < 0.3:
            row_id = dice.choice([*HOLDS, *RECORDS])
        return Insert(row_id, dice.randrange(0, 600))

    def update(self) -> Operation:
        row_id = self.hold() if self.dice.random() < 0.9 else self.dice.choice(RECORDS)
        return Update(row_id, self.cost(row_id))

    def delete(self) -> Operation:
        return Delete(self.dice.choice([*HOLDS, *HOLDS, *RECORDS, SPENT]))

    def set_limits(self) -> Operation:
        kill, soft = self.dice.choice([4_000, 8_000, 12_000, 16_000, 20_000]), self.dice.choice([1_000, 5_000])
        return self.dice.choice([SetLimits(None, kill), SetLimits(None, None, soft), SetLimits(None, kill, soft)])

    def freeze(self) -> Operation:
        self.freezes += 1
        return self.dice.choice([Unfreeze(), Unfreeze(), Unfreeze(), Freeze(None, f"freeze {self.freezes}")])

    def set_slots(self) -> Operation:
        return SetSlots(None, self.dice.choice([1, self.slots]))

    def settle(self) -> Operation:
        hold = self.hold()
        return Settle(hold, self.cost(hold))

    def cancel(self) -> Operation:
        return Cancel(self.hold())

    def expire(self) -> Operation:
        return Expire(None, self.dice.choice([1000, 1000, 2]))

    def check(self) -> Operation:
        return Check(None, self.dice.randrange(100, 4000), "service 0")

    def operation(self) -> Operation:
        shares: dict[Callable[[], Operation], int] = {
            self.reserve: 38,
            self.settle: 11,
            self.cancel: 7,
            self.extend: 9,
            self.record: 7,
            self.expire: 4,
            self.insert: 6,
            self.update: 4,
            self.delete: 4,
            self.set_limits: 3,
            self.freeze: 4,
            self.check: 3,
            self.set_slots: 2 if self.slots > 1 else 0,
        }
        [write] = self.dice.choices(list(shares), list(shares.values()))
        return write()


def program(seed: int, slots: int = 1) -> Program:
    """The program of a seed."""
    return Writer(seed, slots).write()
