"""Pairs of calls that race, and how each race ends, by the word of the design: one line for each.

A line names the two calls and says how it ends when the left one comes first, when the right one does, and when one
comes while the other is not yet committed; where it matters who of the two does, first of the right one that comes
while the left one is open, and then of the left one. There, `waits` says that it waits, and then finds what it would
have found had it come after; L and R that all ends as if the left or the right one had come first. An end is both
answers and what is then left over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple
from uuid import UUID

from tests.concurrency import calls as jobs
from tests.concurrency.calls import answer
from tests.race import Job
from tests.series import by_series

NEW, OTHER = UUID(int=1), UUID(int=2)
"""An id that nobody has used, and the other hold of a day that has two."""

Call = Callable[[UUID], Job[Any]]
"""Given the hold that the race is about."""


class End(NamedTuple):
    left: str
    right: str
    left_over: str


@dataclass(frozen=True)
class Day:
    """What is there before a race: spend, a hold, which may have lapsed, another hold, a freeze."""

    spent: int = 0
    hold: int = 5
    other: int = 0
    lapsed: bool = False
    frozen: bool = False


@dataclass(frozen=True)
class Race:
    """An open side's end is None where the other waits for it."""

    names: tuple[str, str]
    day: Day
    left: Call
    right: Call
    left_first: End
    right_first: End
    left_open: End | None
    right_open: End | None

    def ends(self) -> set[End]:
        return {end for end in (self.left_first, self.right_first, self.left_open, self.right_open) if end is not None}


# What the lines say, with an amount or a reason behind it.
CALLS: dict[str, Callable[..., Job[Any]]] = {
    "settle": jobs.settle,
    "cancel": jobs.cancel,
    "extend": jobs.extend,
    "update": jobs.update,
    "delete": jobs.delete,
    "expire": lambda _: jobs.expire(),
    "replay by reserve": lambda hold: jobs.reserve("reserve", 5, p_reservation_id=hold),
    "replay by advisory": lambda hold: jobs.reserve("reserve_advisory", 5, p_reservation_id=hold),
    "settle other": lambda _, cost: jobs.settle(OTHER, cost),
    "extend other": lambda _, cost: jobs.extend(OTHER, cost),
    "reserve": lambda _, cost: jobs.reserve("reserve", cost),
    "advisory": lambda _, cost: jobs.reserve("reserve_advisory", cost),
    "reserve new": lambda _, cost: jobs.reserve("reserve", cost, p_reservation_id=NEW),
    "advisory new": lambda _, cost: jobs.reserve("reserve_advisory", cost, p_reservation_id=NEW),
    "record": lambda _, cost: jobs.record(cost),
    "record new": lambda _, cost: jobs.record(cost, p_id=NEW),
    "insert": lambda _, cost: jobs.insert(cost),
    "insert new": lambda _, cost: jobs.insert(cost, id=NEW),
    "check": lambda _, cost: jobs.check(cost),
    "limit": lambda _, limit: jobs.set_limits(emergency_kill=limit),
    "soft cap": lambda _, cap: jobs.set_limits(daily_soft_cap=cap),
    "hard cap": lambda _, cap: jobs.set_limits(daily_hard_cap=cap),
    "freeze": lambda _, reason: jobs.freeze(reason),
    "unfreeze": lambda _: jobs.unfreeze(),
}


def says(row: Any, said: str) -> bool:
    """The answer is this: of a verdict the reason, with the day's total behind it where that is said."""
    return said in (str(answer(row)), f"{answer(row)} {getattr(row, 'current_total', '')}")


def parse_call(text: str) -> Call:
    words = text.split()
    if text in CALLS:
        return CALLS[text]
    function, argument = CALLS[" ".join(words[:-1])], words[-1]
    return lambda hold: function(hold, int(argument) if argument.isdigit() else argument)


def parse_end(text: str, first: dict[str, End]) -> End | None:
    if text == "waits":
        return None
    if text in first:
        return first[text]
    answers, left_over = text.split(": ")
    left, right = answers.split(", ")
    return End(left, right, left_over)


def races(day: Day, lines: str) -> dict[str, Race]:
    """The races of a table. In it `reserve` decides under the table lock, `advisory` not, and `either` is each in turn.

    With budgets nothing is decided under the table lock: both variants are as `advisory` says.
    """
    return {", ".join(race.names): race for race in _races(day, lines)}


def _races(day: Day, lines: str) -> Iterator[Race]:
    for line in filter(str.strip, lines.splitlines()):
        left, right, *texts = (cell.strip() for cell in line.split("|"))
        first: dict[str, End] = {}
        ends = []
        for name, text in zip(("L", "R", "", ""), [*texts, texts[-1]], strict=False):
            ends.append(end := parse_end(text, first))
            if end is not None:
                first[name] = end
        left_first, right_first, left_open, right_open = ends
        assert left_first is not None
        assert right_first is not None
        for one, two in product(variants(left), variants(right)):
            calls = parse_call(one), parse_call(two)
            yield Race((one, two), day, *calls, left_first, right_first, left_open, right_open)


BOTH = ["reserve", "advisory"]
MEANT = {
    "either": BOTH,
    "reserve": by_series(core=["reserve"], budgets=[]),
    "advisory": by_series(core=["advisory"], budgets=BOTH),
}


def variants(name: str) -> list[str]:
    for word in MEANT.keys() & set(name.split()):
        return [name.replace(word, variant) for variant in MEANT[word]]
    return [name]


# One hold of 5, and limits that nothing comes near. What is left over is what the hold costs in the ledger.
ONE_HOLD = {
    **races(
        Day(),
        """
    settle 6 | cancel   | actual, PB004: 6        | late actual, cancelled: 6 | waits
    settle 6 | settle 6 | actual, actual: 6       | actual, actual: 6         | waits
    settle 6 | settle 7 | actual, PB004: 6        | PB004, actual: 7          | waits
    settle 6 | update 7 | actual, PB004: 6        | PB004, 1: 7               | waits
    settle 6 | delete   | actual, 1: no row       | PB002, 1: no row          | waits
    settle 6 | extend 8 | actual, PB004: 6        | actual, granted: 6        | waits
    cancel   | cancel   | cancelled, cancelled: 0 | cancelled, cancelled: 0   | waits
    cancel   | update 7 | cancelled, 1: 7         | PB004, 1: 7               | waits
    cancel   | delete   | cancelled, 1: no row    | PB002, 1: no row          | waits
    cancel   | extend 8 | cancelled, PB004: 0     | cancelled, granted: 0     | waits
    extend 8 | extend 9 | granted, granted: 9     | granted, granted: 8       | waits
    extend 8 | update 7 | granted, 1: 7           | PB004, 1: 7               | waits
    extend 8 | delete   | granted, 1: no row      | PB002, 1: no row          | waits
    update 7 | update 8 | 1, PB004: 7             | PB004, 1: 8               | waits
    update 7 | delete   | 1, 1: no row            | 0, 1: no row              | waits
    delete   | delete   | 1, 0: no row            | 0, 1: no row              | waits

    settle 6 | replay by reserve  | actual, ended: 6     | actual, replayed: 6    | waits
    cancel   | replay by reserve  | cancelled, ended: 0  | cancelled, replayed: 0 | waits
    update 7 | replay by reserve  | 1, ended: 7          | 1, replayed: 7         | waits
    delete   | replay by reserve  | 1, granted: 5        | 1, replayed: no row    | waits
    extend 8 | replay by reserve  | granted, replayed: 8 | granted, replayed: 8   | waits
    settle 6 | replay by advisory | actual, ended: 6     | actual, replayed: 6    | R
    cancel   | replay by advisory | cancelled, ended: 0  | cancelled, replayed: 0 | R
    update 7 | replay by advisory | 1, ended: 7          | 1, replayed: 7         | R
    delete   | replay by advisory | 1, granted: 5        | 1, replayed: no row    | R
    extend 8 | replay by advisory | granted, replayed: 8 | granted, replayed: 8   | waits
        """,
    ),
    # The sweeper waits for nobody: it skips what others hold.
    **races(
        Day(lapsed=True),
        """
    settle 6 | expire             | late actual, 0: 6    | late actual, 1: 6    | L     | waits
    cancel   | expire             | late cancelled, 0: 0 | late cancelled, 1: 0 | L     | waits
    extend 8 | expire             | granted, 0: 8        | PB004, 1: 0          | L     | waits
    update 7 | expire             | 1, 0: 7              | 1, 1: 7              | L     | waits
    delete   | expire             | 1, 0: no row         | 1, 1: no row         | L     | waits
    expire   | expire             | 1, 0: 0              | 0, 1: 0              | L     | R
    expire   | replay by reserve  | 1, ended: 0          | 1, ended: 0          | waits
    expire   | replay by advisory | 1, ended: 0          | 1, ended: 0          | L     | R
        """,
    ),
}

# One day of 85, of which a hold has 5, and a limit of 100. What is left over is the day's total. Of two decisions the
# later one counts what the earlier one was granted. A writer and a decision under the table lock wait for each other;
# under the advisory lock neither waits, and neither counts what the other has not yet committed.
ONE_DAY = {
    **races(
        Day(spent=80),
        """
    either 10     | either 10     | granted 85, in_flight 95: 95   | in_flight 95, granted 85: 95   | waits
    either 50     | either 60     | exhausted 85, exhausted 85: 85 | exhausted 85, exhausted 85: 85 | waits
    either new 10 | either new 10 | granted 85, replayed 95: 95    | replayed 95, granted 85: 95    | waits
    either new 10 | either new 11 | granted 85, PB003: 95          | PB003, granted 85: 96          | waits
    either 10     | extend 15     | granted 85, in_flight 95: 95   | in_flight 95, granted 85: 95   | waits
    either new 10 | insert new 10 | granted 85, 23505: 95          | PB003, 1: 95                   | waits
    either new 10 | record new 10 | granted 85, PB003: 95          | PB003, actual: 95              | waits

    reserve 10 | insert 10 | granted 85, 1: 105           | in_flight 95, 1: 95        | waits
    reserve 10 | record 10 | granted 85, over actual: 105 | in_flight 95, actual: 95   | waits
    reserve 10 | settle 15 | granted 85, over actual: 105 | exhausted 95, actual: 95   | waits
    reserve 20 | settle 0  | in_flight 85, actual: 80     | granted 80, actual: 100    | waits
    reserve 20 | cancel    | in_flight 85, cancelled: 80  | granted 80, cancelled: 100 | waits
    reserve 20 | update 0  | in_flight 85, 1: 80          | granted 80, 1: 100         | waits
    reserve 20 | delete    | in_flight 85, 1: 80          | granted 80, 1: 100         | waits

    advisory 10 | insert 10 | granted 85, 1: 105           | in_flight 95, 1: 95        | L
    advisory 10 | record 10 | granted 85, over actual: 105 | in_flight 95, actual: 95   | granted 85, actual: 105
    advisory 10 | settle 15 | granted 85, over actual: 105 | exhausted 95, actual: 95   | granted 85, actual: 105
    advisory 20 | settle 0  | in_flight 85, actual: 80     | granted 80, actual: 100    | L
    advisory 20 | cancel    | in_flight 85, cancelled: 80  | granted 80, cancelled: 100 | L
    advisory 20 | update 0  | in_flight 85, 1: 80          | granted 80, 1: 100         | L
    advisory 20 | delete    | in_flight 85, 1: 80          | granted 80, 1: 100         | L

    either 10     | limit 90      | granted 85, limit 90: 95     | in_flight 85, limit 90: 85 | L
    either 10     | freeze why    | granted 85, frozen why: 95   | frozen 85, frozen why: 85  | L
    either 10     | check 10      | granted 85, in_flight 95: 95 | granted 85, granted 85: 95 | R
    extend 15     | limit 90      | granted 85, limit 90: 95     | exhausted 85, limit 90: 85 | L
    extend 15     | freeze why    | granted 85, frozen why: 95   | frozen 85, frozen why: 85  | L
    extend 15     | insert 10     | granted 85, 1: 105           | exhausted 95, 1: 95        | L
    extend 15     | record 10     | granted 85, over actual: 105 | exhausted 95, actual: 95   | granted 85, actual: 105
    settle 6      | freeze why    | actual, frozen why: 86       | actual, frozen why: 86     | L
    cancel        | freeze why    | cancelled, frozen why: 80    | cancelled, frozen why: 80  | L
    record 10     | freeze why    | actual, frozen why: 95       | actual, frozen why: 95     | L
    record 10     | record 10     | actual, over actual: 105     | over actual, actual: 105   | actual, actual: 105
    record new 10 | record new 10 | actual, actual: 95           | actual, actual: 95         | waits
    record 16     | limit 200     | over actual, limit 200: 101  | actual, limit 200: 101     | L
    limit 90      | limit 80      | limit 90, limit 80: 85       | limit 90, limit 80: 85     | waits
    freeze one    | freeze two    | frozen one, frozen one: 85   | frozen two, frozen two: 85 | waits
    freeze one    | unfreeze      | frozen one, not frozen: 85   | frozen one, not frozen: 85 | R
        """,
    ),
    **races(
        Day(spent=80, lapsed=True),
        """
    reserve 20  | expire    | granted 80, 1: 100      | granted 80, 1: 100      | waits
    advisory 20 | expire    | granted 80, 1: 100      | granted 80, 1: 100      | L
    extend 20   | settle 20 | granted 80, actual: 100 | PB004, late actual: 100 | waits
        """,
    ),
    **races(
        Day(spent=80, frozen=True),
        """
    either 10 | unfreeze   | frozen 85, not frozen: 85  | granted 85, not frozen: 95    | L
    unfreeze  | unfreeze   | not frozen, not frozen: 85 | not frozen, not frozen: 85    | waits
    unfreeze  | freeze two | not frozen, frozen two: 85 | not frozen, frozen before: 85 | waits | R
        """,
    ),
    **races(
        Day(spent=75, other=5),
        """
    extend 15 | extend other 15 | granted 85, in_flight 95: 95 | in_flight 95, granted 85: 95 | waits
    settle 15 | settle other 15 | actual, over actual: 105     | over actual, actual: 105     | actual, actual: 105
    settle 15 | extend other 15 | actual, exhausted 95: 95     | over actual, granted 85: 105 | actual, granted 85: 105
        """,
    ),
}
