"""What a history changes: the ledger, the limits and the kill switch, as committed between two calls.

Amounts are in cents, instants in microseconds since 1970, ids are small numbers. No state is ever changed: a step
makes a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

HOUR = 3600 * 10**6


class Config(NamedTuple):
    kill: int
    soft: int
    frozen: str | None = None
    """The reason."""


class Row(NamedTuple):
    """A row of the ledger. `spend` is the state of a row that never was a hold."""

    state: str
    cost: int
    service: str
    requested: int | None = None
    """With which a replay has to come; None where no call reserved it."""
    estimate: int | None = None
    expires: int | None = None
    """NULL once the hold has ended."""
    over: bool = False
    late: bool | None = False
    """None where nobody was told."""
    recorded: bool = False

    @property
    def was_hold(self) -> bool:
        return self.state != "spend"


class State:
    """The ledger by id, the limits, whether a hold that lapses is kept as spent, and the time of the last decision.

    Where the room is spread over slots, decisions go on side by side, and none of them is the last.
    """

    def __init__(
        self,
        rows: Mapping[int, Row],
        config: Config,
        keeps: bool = False,
        is_spread: bool = False,
        decided_at: int = 0,
    ) -> None:
        self.rows = rows
        self.config = config
        self.keeps = keeps
        self.is_spread = is_spread
        self.decided_at = decided_at

    def get(self, row_id: int | None) -> Row | None:
        return None if row_id is None else self.rows.get(row_id)

    def with_row(self, row_id: int | None, row: Row | None) -> State:
        """The row is put in, or for None taken away."""
        assert row_id is not None
        rows = dict(self.rows)
        if row is None:
            del rows[row_id]
        else:
            rows[row_id] = row
        return State(rows, self.config, self.keeps, self.is_spread, self.decided_at)

    def with_hold(self, row_id: int, hold: Row, decided_at: int) -> State:
        rows = {**self.rows, row_id: hold}
        return State(rows, self.config, self.keeps, self.is_spread, 0 if self.is_spread else decided_at)

    def with_config(self, config: Config) -> State:
        return State(self.rows, config, self.keeps, self.is_spread, self.decided_at)

    @cached_property
    def settled(self) -> int:
        return sum(row.cost for row in self.rows.values() if row.expires is None)

    @cached_property
    def holds(self) -> list[tuple[int, int, int]]:
        """Expiry, cost and id of each row that has an expiry, first to lapse first."""
        return sorted((row.expires, row.cost, row_id) for row_id, row in self.rows.items() if row.expires is not None)

    def open(self, now: int) -> list[tuple[int, int, int]]:
        return [hold for hold in self.holds if hold[0] > now]

    def total(self, now: int) -> int:
        """Settled and held: a lapsed hold counts nothing, unless it is kept."""
        return self.settled + sum(cost for expires, cost, _ in self.holds if expires > now or self.keeps)

    def counted(self, row: Row, now: int) -> int:
        return row.cost if row.expires is None or row.expires > now or self.keeps else 0

    def summary(self) -> dict[int, tuple[bool, str | None, int, int | None]]:
        """Of each row: was it a hold, its state if it was, its cost and its expiry."""
        return {
            row_id: (row.was_hold, row.state if row.was_hold else None, row.cost, row.expires)
            for row_id, row in self.rows.items()
        }

    def key(self) -> tuple[frozenset[tuple[int, Row]], Config, int]:
        """Equal for states that no call can tell apart."""
        return frozenset(self.rows.items()), self.config, self.decided_at
