"""The subjects and the cases of the series budgets: pairs of a reserve and a settle, beside what there is without it.

A pair settles less than it held, as real calls do, so that the series has something to post.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.bench.ledgers import TEAMS, USERS
from tests.bench.rounds import Case, Entry, Load
from tests.bench.subjects import SUBJECTS, UPDATE, Subject

WORK_ORDER = "be8db517-93c4-48ab-8a32-1d787a42d32a"
HELD = f"""(0.0002, 'bench', '{{"work_order_id": "{WORK_ORDER}"}}')"""
HELD_BY_MEMBER = f"""(0.0002, 'bench', jsonb_build_object(
    'work_order_id', '{WORK_ORDER}', 'team', 'team-' || :team::integer, 'user', 'user-' || :user::integer
))"""
SETTLED = "\\gset\nSELECT * FROM budget.settle(:reservation_id, 0.0001);"
PAIR = f"SELECT * FROM budget.reserve_advisory{HELD} {SETTLED}"


def _member_pair(first_user: int, last_user: int) -> str:
    return (
        f"\\set team random(1, {TEAMS})\n\\set user random({first_user}, {last_user})\n"
        f"SELECT * FROM budget.reserve_advisory{HELD_BY_MEMBER} {SETTLED}"
    )


# The names of the subjects are those of their ledgers, where these tell them apart.
BARE = Subject(
    "INSERT + UPDATE",
    "handover",
    f"INSERT INTO cost_tracking (cost, service_name, metadata) VALUES {HELD} RETURNING id \\gset\n{UPDATE}",
    times=20,
)
HANDOVER = Subject(
    "handover", "handover", f"SELECT reservation_id AS id FROM check_and_reserve_budget{HELD} \\gset\n{UPDATE}"
)
CORE = Subject("core", "core", PAIR)
HOT = {
    1: Subject("budgets", "budgets", PAIR, times=5),
    **{slots: Subject(f"budgets, {slots} slots", f"budgets, {slots} slots", PAIR, times=5) for slots in (8, 16, 64)},
}
BUDGETS = HOT[1]
FIFTY, THREE = (Subject(kind, kind, _member_pair(1, USERS), times=5) for kind in ("50 budgets", "3 budgets match"))
NEWCOMERS = Subject(f"{THREE.name}, a new user", THREE.kind, _member_pair(USERS + 1, 2_000_000_000))
SINGLE = Subject("reserve_advisory, one by one", "budgets", f"SELECT * FROM budget.reserve_advisory{HELD};")
CALLS = tuple(SUBJECTS[name] for name in ("INSERT", "handover", "reserve_advisory"))

MANY = "reserve_many"


def many(requests: int) -> Subject:
    """So many reservations in one call."""
    script = f"""SELECT count(*) FROM budget.reserve_many((
    SELECT jsonb_agg(jsonb_build_object(
        'estimated_cost', '0.0002', 'service_name', 'bench',
        'metadata', jsonb_build_object('work_order_id', '{WORK_ORDER}')
    ))
    FROM generate_series(1, {requests})
));"""
    return Subject(MANY, "budgets", script, at_once=requests)


@dataclass(frozen=True)
class BudgetsScale:
    """How large a run is: three sizes of the day, the smallest of which all other cases have, and numbers of clients.

    `calls` are for each number of clients, `few_calls` for each size of the day, of what adds it up. So many `requests`
    at once are repeated `many_calls` times. Some cases are measured again with commits that are slower by `delays_us`.
    """

    name: str
    rows: tuple[int, int, int]
    clients: tuple[int, ...]
    calls: tuple[int, ...]
    few_calls: tuple[int, int, int]
    requests: int
    many_calls: int
    delays_us: tuple[int, ...]
    rounds: int
    few_rounds: int
    old_rows: int = 0

    def with_rounds(self, rounds: int | None) -> BudgetsScale:
        """The same with so many rounds in every case."""
        return self if rounds is None else replace(self, rounds=rounds, few_rounds=rounds)

    def cases(self) -> Iterator[Case]:
        """From the smallest day on; those with slower commits at the end."""
        loads = [Load(self.rows[0], *load) for load in zip(self.clients, self.calls, strict=True)]
        yield Case.mixed(
            "clients", ((s, load) for s in (BARE, HANDOVER, CORE, *HOT.values()) for load in loads), self.few_rounds
        )
        yield self._members(loads)
        yield self._many()
        yield self._newcomers()
        yield from self._rows(loads[:2])
        yield Case.alike("calls", CALLS, replace(loads[0], calls=2 * loads[0].calls), 2 * self.rounds)
        for delay_us in self.delays_us:
            yield Case.alike("calls", CALLS, loads[0], self.rounds, delay_us)
        # The shortest delay with all, the longest with what must hold.
        shortest, longest = self.delays_us[0], self.delays_us[-1]
        subjects = (BARE, HANDOVER, CORE, HOT[1], HOT[16], HOT[64])
        yield Case.mixed("clients", ((s, load) for s in subjects for load in loads), self.few_rounds, shortest)
        yield self._members(loads, shortest)
        yield Case.mixed("clients", ((s, loads[1 % len(loads)]) for s in (BARE, HOT[64])), self.few_rounds, longest)
        yield self._members(loads, longest)

    def _members(self, loads: list[Load], delay_us: int = 0) -> Case:
        return Case.alike("members", (BARE, FIFTY, THREE), loads[1 % len(loads)], self.rounds, delay_us)

    def _newcomers(self) -> Case:
        """Who is there already, and who comes for the first time in the window. Not at the largest size."""
        loads = [
            Load(rows, 1, calls, kept=True) for rows, calls in list(zip(self.rows, self.few_calls, strict=True))[:2]
        ]
        return Case.mixed("newcomers", ((s, load) for s in (THREE, NEWCOMERS) for load in loads), self.few_rounds)

    def _many(self) -> Case:
        one_by_one = Load(self.rows[0], 1, self.calls[0])
        at_once = replace(one_by_one, calls=self.many_calls)
        subject = many(self.requests)
        return Case(
            "many", (Entry(SINGLE.name, SINGLE, one_by_one), Entry(subject.name, subject, at_once)), self.rounds
        )

    def _rows(self, loads: list[Load]) -> Iterator[Case]:
        """The same at each size of the day: what does not add it up, and what does, for which that takes long.

        Who adds up the largest waits for all who came before: one client is enough to see how long that takes.
        """
        for load in loads:
            each = [replace(load, rows=rows, kept=True) for rows in self.rows]
            yield Case.mixed("rows", ((s, own) for s in (BARE, BUDGETS) for own in each), self.rounds)
            few = [
                replace(own, calls=max(calls, load.clients))
                for own, calls in zip(each, self.few_calls, strict=True)
                if load.clients == 1 or own.rows < self.rows[-1]
            ]
            yield Case.mixed("rows, added up", ((s, own) for s in (HANDOVER, CORE) for own in few), self.few_rounds)


FULL = BudgetsScale(
    "full",
    rows=(1_000, 100_000, 1_000_000),
    clients=(1, 16, 64),
    calls=(60, 160, 128),
    few_calls=(60, 16, 4),
    requests=1_000,
    many_calls=3,
    delays_us=(1_000, 2_000, 4_000),
    rounds=8,
    few_rounds=4,
)
QUICK = BudgetsScale(
    "quick",
    rows=(10, 20, 40),
    clients=(2,),
    calls=(2,),
    few_calls=(1, 1, 1),
    requests=3,
    many_calls=1,
    delays_us=(400, 500),
    rounds=2,
    few_rounds=2,
)
