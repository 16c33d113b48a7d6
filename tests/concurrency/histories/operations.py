"""What clients do in a history: the statement that is sent, and what its answer may be.

An operation takes effect at one point, its commit. What it says of others it read before, from states that were
committed between its start and that point, one statement after another: first the limits, then its own row, then the
day. `explains` tells whether it can have answered like this, had it read that; `effects` gives the states that it may
leave, none if it cannot have committed now. What makes a reading stale is said by `restarts_at`:

- a decision reads, also the clock, after the decision before it has committed: this is the decision lock;
- where the room is spread over slots it may read before, but what that one was granted it does not take as well;
- under the table lock no row of the ledger changes between reading and commit;
- spend that is booked reads after each decision under the table lock: it would have had to wait for it;
- what locks a row finds it as it is until the commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, NamedTuple

from tests.concurrency.histories.state import HOUR, Config, Row, State
from tests.series import by_series

EXEMPT = "architect"
TO_COMMIT = 200
"""About how long it takes from the reading of the clock to the commit."""

MICROSECONDS = "(extract(epoch FROM {0}) * 1000000)::bigint"
VERDICT = f"""can_proceed, (current_total * 100)::bigint, reason, (limit_amount * 100)::bigint,
    (remaining * 100)::bigint, {MICROSECONDS.format("retry_at")}, {MICROSECONDS.format("resets_at")},
    {MICROSECONDS.format("expires_at")}, reservation_id"""
OUTCOME = "status, (estimated_cost * 100)::bigint, (actual_cost * 100)::bigint, over_limit, late, reservation_id"
COST = "(%(cost)s::bigint / 100.0)"
INTERVAL = "%(ttl)s::bigint * interval '1 microsecond'"


class Verdict(NamedTuple):
    can_proceed: bool
    total: int
    reason: str
    limit: int
    remaining: int
    retry_at: int | None
    resets_at: int
    expires: int | None
    id: int | None


class Outcome(NamedTuple):
    status: str
    estimate: int | None
    cost: int
    over: bool
    late: bool
    id: int


Answer = Any
"""A row in the shape that the operation names, or the SQLSTATE as text."""


@dataclass
class Call:
    """An operation that a client performed, when it was begun and when it was over, and the answer."""

    client: int
    operation: Operation
    started: int
    ended: int
    answer: Answer
    busy: frozenset[int] = frozenset()
    """Of a sweep: the rows that others were at meanwhile."""

    @property
    def locks(self) -> Set[str]:
        """What it kept others from. Who looks for its row first may end before it decides."""
        return frozenset() if self.answer == "PB002" else self.operation.locks

    @property
    def is_silent(self) -> bool:
        """It neither changed nor decided anything: it ended with an error, or found no row."""
        return (failed(self.answer) or self.answer is None) and not self.locks


class View(NamedTuple):
    """What a call may have read, and the time that it may have taken it to be."""

    config: Config
    row: Row | None
    state: State
    now: int


# What makes a reading stale: the commit of one who held a lock, a change of the ledger, a change of the own row.
DECISION, TABLE, LEDGER, ROW = "decision lock", "table lock", "ledger", "row"


@dataclass(frozen=True)
class Operation:
    """`id` is that of the row it is about; a row without one is made under an id of the database's choice."""

    id: int | None = None

    statement: ClassVar[str]
    locks: ClassVar[Set[str]] = frozenset()
    restarts_at: ClassVar[Set[str]] = frozenset()

    def read(self, row: tuple[Any, ...]) -> Answer:
        """The answer, from the row of the result."""
        return row

    def explains(self, call: Call, view: View) -> bool:
        """The answer follows from what the call has read."""
        raise NotImplementedError

    def effects(self, call: Call, state: State) -> Iterator[State]:
        """The call commits in this state."""
        raise NotImplementedError

    def takes(self, call: Call, state: State) -> int:  # noqa: ARG002 - only decisions take anything
        """What a decision took of the room that others may not take as well, if it commits in this state."""
        return 0

    def likely(self, call: Call) -> int:
        """About when it committed. No more than a hint where to begin the search."""
        return call.ended


def failed(answer: Answer) -> bool:
    return isinstance(answer, str)


def between(call: Call, at: int | None, later: int) -> bool:
    """An instant is so much later than one within the call."""
    return at is not None and call.started + later <= at <= call.ended + later


# ------------------------------------------------------------------------------------------------------ decisions


def verdict_on(
    amount: int, service: str, view: View, hold: Row | None = None, hold_id: int | None = None
) -> tuple[Any, ...]:
    """can_proceed, current_total, reason, limit_amount, remaining and retry_at (0 stands for the day's end)."""
    config, _, state, now = view
    total = state.total(now)
    counted = state.counted(hold, now) if hold else 0
    missing = total - counted + amount - config.kill
    retry_at = None
    if config.frozen:
        reason = "frozen"
    elif service == EXEMPT or missing <= 0 or (hold and amount <= counted):
        reason = "granted"
    elif amount > config.kill:
        reason = "too_large"
    else:
        freed, retry_at = 0, 0
        for expires, cost, row_id in state.open(now):
            if row_id != hold_id:
                freed += cost
                if freed >= missing and retry_at == 0 and not state.keeps:
                    retry_at = expires
        reason = "in_flight" if freed >= missing else "exhausted"
    return reason == "granted", total, reason, config.kill, config.kill - total, retry_at


def says(verdict: Verdict, want: tuple[Any, ...]) -> bool:
    retry_at = 0 if verdict.retry_at == verdict.resets_at else verdict.retry_at
    return (*verdict[:5], retry_at) == want


@dataclass(frozen=True)
class Reserve(Operation):
    cost: int = 0
    service: str = "service"
    ttl: int = HOUR

    statement = (
        f"SELECT {VERDICT} FROM budget.reserve({COST}, %(service)s, p_reservation_id => %(id)s, p_ttl => {INTERVAL})"
    )
    locks = by_series(core=frozenset({DECISION, TABLE}), budgets=frozenset({DECISION}))
    restarts_at = by_series(core=frozenset({DECISION, LEDGER}), budgets=frozenset({DECISION}))

    def read(self, row: tuple[Any, ...]) -> Answer:
        return Verdict(*row)

    def explains(self, call: Call, view: View) -> bool:
        answer, row = call.answer, view.row
        if row is None:
            return (
                not failed(answer)
                and answer.reason not in ("replayed", "ended")
                and says(answer, verdict_on(self.cost, self.service, view))
            )
        if row.requested != self.cost or row.service != self.service:
            return bool(answer == "PB003")
        is_open = row.expires is not None and row.expires > view.now
        _, total, _, kill, remaining, _ = verdict_on(0, EXEMPT, view, row)
        want = (is_open, total, "replayed" if is_open else "ended", kill, remaining, None)
        return not failed(answer) and says(answer, want) and answer.expires == (row.expires if is_open else None)

    def effects(self, call: Call, state: State) -> Iterator[State]:
        answer = call.answer
        if failed(answer) or answer.reason != "granted":
            yield state
            return
        decided_at = answer.expires - self.ttl
        if answer.id not in state.rows and max(call.started, state.decided_at) <= decided_at <= call.ended:
            hold = Row("reservation", self.cost, self.service, self.cost, self.cost, answer.expires)
            yield state.with_hold(answer.id, hold, decided_at)

    def takes(self, call: Call, state: State) -> int:  # noqa: ARG002 - its row is new
        is_hold = not failed(call.answer) and call.answer.reason == "granted"
        return self.cost if is_hold and self.service != EXEMPT else 0

    def likely(self, call: Call) -> int:
        if failed(call.answer) or call.answer.reason != "granted":
            return call.ended
        decided_at: int = call.answer.expires - self.ttl
        return min(call.ended, decided_at + TO_COMMIT)


@dataclass(frozen=True)
class ReserveAdvisory(Reserve):
    statement = Reserve.statement.replace("budget.reserve(", "budget.reserve_advisory(")
    locks = frozenset({DECISION})
    restarts_at = frozenset({DECISION})


@dataclass(frozen=True)
class Extend(Operation):
    cost: int | None = None
    ttl: int | None = None

    statement = f"SELECT {VERDICT} FROM budget.extend(%(id)s, {COST}, p_ttl => {INTERVAL})"
    locks = frozenset({DECISION})
    restarts_at = frozenset({DECISION, ROW})

    def read(self, row: tuple[Any, ...]) -> Answer:
        return Verdict(*row)

    def explains(self, call: Call, view: View) -> bool:
        answer, row = call.answer, view.row
        if row is None or not row.was_hold:
            return bool(answer == "PB002")
        if row.expires is None:
            return bool(answer == "PB004")
        amount = row.cost if self.cost is None else self.cost
        if failed(answer) or not says(answer, verdict_on(amount, row.service, view, row, self.id)):
            return False
        if not answer.can_proceed:
            return answer.expires is None
        if self.ttl is None and row.expires > view.now:
            return bool(answer.expires == row.expires)
        return between(call, answer.expires, HOUR if self.ttl is None else self.ttl)

    def effects(self, call: Call, state: State) -> Iterator[State]:
        if failed(call.answer) or not call.answer.can_proceed:
            yield state
        elif (row := state.get(self.id)) is not None:
            cost = row.cost if self.cost is None else self.cost
            yield state.with_row(self.id, row._replace(cost=cost, estimate=cost, expires=call.answer.expires))

    def takes(self, call: Call, state: State) -> int:
        row = state.get(self.id)
        if row is None or row.service == EXEMPT or failed(call.answer) or not call.answer.can_proceed:
            return 0
        return max(0, (row.cost if self.cost is None else self.cost) - state.counted(row, call.started))


@dataclass(frozen=True)
class Check(Operation):
    cost: int = 0
    service: str = "service"

    statement = f"SELECT {VERDICT} FROM budget.check({COST}, %(service)s)"

    def read(self, row: tuple[Any, ...]) -> Answer:
        return Verdict(*row)

    def explains(self, call: Call, view: View) -> bool:
        return not failed(call.answer) and says(call.answer, verdict_on(self.cost, self.service, view))

    def effects(self, call: Call, state: State) -> Iterator[State]:  # noqa: ARG002 - it changes nothing
        yield state


# ----------------------------------------------------------------------------------------------------- a hold ends


def lateness(call: Call, row: Row) -> Set[bool]:
    """Whether what is done to the hold is done late: it has ended, or has lapsed when the call reads the clock."""
    if row.expires is None or row.expires <= call.started:
        return {True}
    return {False} if row.expires > call.ended else {True, False}


@dataclass(frozen=True)
class Settle(Operation):
    cost: int = 0

    statement = f"SELECT {OUTCOME} FROM budget.settle(%(id)s, {COST})"
    restarts_at = frozenset({TABLE, ROW})

    def read(self, row: tuple[Any, ...]) -> Answer:
        return Outcome(*row)

    def explains(self, call: Call, view: View) -> bool:
        answer, row = call.answer, view.row
        if row is None or not row.was_hold:
            return bool(answer == "PB002")
        if row.state == "actual":
            if row.cost != self.cost:
                return bool(answer == "PB004")
            return not failed(answer) and answer[:4] == ("actual", row.estimate, row.cost, row.over)
        if failed(answer):
            return False
        counted = view.state.counted(row, view.now)
        over = self.cost > counted and view.state.total(view.now) - counted + self.cost > view.config.kill
        return bool(answer[:4] == ("actual", row.estimate, self.cost, over))

    def effects(self, call: Call, state: State) -> Iterator[State]:
        answer = call.answer
        if failed(answer):
            yield state
        elif (row := state.get(self.id)) is not None:
            if row.state == "actual":
                if row.late in (None, answer.late):
                    yield state.with_row(self.id, row._replace(late=answer.late))
            elif answer.late in lateness(call, row):
                ended = row._replace(state="actual", cost=self.cost, expires=None, over=answer.over, late=answer.late)
                yield state.with_row(self.id, ended)


@dataclass(frozen=True)
class Cancel(Operation):
    statement = f"SELECT {OUTCOME} FROM budget.cancel(%(id)s)"
    restarts_at = frozenset({TABLE, ROW})

    def read(self, row: tuple[Any, ...]) -> Answer:
        return Outcome(*row)

    def explains(self, call: Call, view: View) -> bool:
        answer, row = call.answer, view.row
        if row is None or not row.was_hold:
            return bool(answer == "PB002")
        if row.state == "actual":
            return bool(answer == "PB004")
        return not failed(answer) and answer[:4] == ("cancelled", row.estimate, 0, row.over)

    def effects(self, call: Call, state: State) -> Iterator[State]:
        answer = call.answer
        if failed(answer):
            yield state
            return
        row = state.get(self.id)
        if row and answer.late in ({row.late} if row.state == "cancelled" else lateness(call, row)):
            ended = row._replace(state="cancelled", cost=0, expires=None, late=answer.late)
            yield state.with_row(self.id, ended)


@dataclass(frozen=True)
class Expire(Operation):
    """It skips what others have locked: of rows that others are at, any may be left out."""

    limit: int = 1000

    statement = "SELECT expired, (released * 100)::bigint FROM budget.expire(%(limit)s)"

    def explains(self, call: Call, view: View) -> bool:  # noqa: ARG002 - it tells of what it did alone
        return not failed(call.answer)

    def effects(self, call: Call, state: State) -> Iterator[State]:
        count, released = call.answer
        lapsed = {row_id: expires for expires, _, row_id in state.holds if expires <= call.ended}
        sure = {row_id for row_id, expires in lapsed.items() if expires <= call.started and row_id not in call.busy}
        if count == self.limit:
            sure = set()  # whichever come first
        for others in combinations(lapsed.keys() - sure, max(count - len(sure), 0)):
            chosen = sure.union(others)
            freed = 0 if state.keeps else sum(state.rows[row_id].cost for row_id in chosen)
            if (len(chosen), freed) == (count, released):
                yield self._marked(state, chosen)

    def _marked(self, state: State, chosen: Set[int]) -> State:
        for row_id in chosen:
            row = state.rows[row_id]
            cost = row.cost if state.keeps else 0
            state = state.with_row(row_id, row._replace(state="expired", cost=cost, expires=None))
        return state


# ------------------------------------------------------------------------------------------ spend that had no hold


@dataclass(frozen=True)
class Record(Operation):
    cost: int = 0
    service: str = "service"

    statement = f"SELECT {OUTCOME} FROM budget.record({COST}, %(service)s, p_id => %(id)s)"
    restarts_at = frozenset({TABLE})

    def read(self, row: tuple[Any, ...]) -> Answer:
        return Outcome(*row)

    def explains(self, call: Call, view: View) -> bool:
        row = view.row
        if row is None:
            over = self.cost > 0 and view.state.total(view.now) + self.cost > view.config.kill
            return not failed(call.answer) and call.answer[:5] == ("actual", None, self.cost, over, False)
        if (row.recorded, row.cost, row.service) != (True, self.cost, self.service):
            return bool(call.answer == "PB003")
        return not failed(call.answer) and call.answer[:5] == ("actual", None, row.cost, row.over, False)

    def effects(self, call: Call, state: State) -> Iterator[State]:
        answer = call.answer
        if failed(answer):
            yield state
        elif answer.id not in state.rows:
            yield state.with_row(answer.id, Row("spend", self.cost, self.service, over=answer.over, recorded=True))
        elif state.rows[answer.id].recorded and state.rows[answer.id].over == answer.over:
            yield state


# ------------------------------------------------------------------------------------------- the application's own


@dataclass(frozen=True)
class Insert(Operation):
    """Plain spend."""

    cost: int = 0

    statement = f"""INSERT INTO public.cost_tracking (id, service_name, cost)
        VALUES (coalesce(%(id)s::uuid, gen_random_uuid()), 'direct', {COST}) RETURNING id"""

    def explains(self, call: Call, view: View) -> bool:
        return not failed(call.answer) or (call.answer == "23505" and view.row is not None)

    def effects(self, call: Call, state: State) -> Iterator[State]:
        if failed(call.answer):
            yield state
        elif call.answer[0] not in state.rows:
            yield state.with_row(call.answer[0], Row("spend", self.cost, "direct"))


@dataclass(frozen=True)
class InsertHold(Insert):
    """As the handover's function does it. It is given an expiry."""

    statement = f"""INSERT INTO public.cost_tracking (id, service_name, cost, metadata)
        VALUES (%(id)s, 'direct', {COST}, '{{"type": "reservation"}}')
        RETURNING id, {MICROSECONDS.format("expires_at")}"""

    def effects(self, call: Call, state: State) -> Iterator[State]:
        if failed(call.answer):
            yield state
        elif state.get(self.id) is None and between(call, call.answer[1], HOUR):
            hold = Row("reservation", self.cost, "direct", estimate=self.cost, expires=call.answer[1])
            yield state.with_row(self.id, hold)


@dataclass(frozen=True)
class Update(Operation):
    """The application settles."""

    cost: int = 0

    statement = f"""UPDATE public.cost_tracking SET cost = {COST}, metadata = '{{"type": "actual"}}'
        WHERE id = %(id)s RETURNING id"""
    restarts_at = frozenset({ROW})

    def explains(self, call: Call, view: View) -> bool:
        row = view.row
        if row is None:
            return call.answer is None
        if row.state == "actual" and row.cost != self.cost:
            return bool(call.answer == "PB004")
        return bool(call.answer == (self.id,))

    def effects(self, call: Call, state: State) -> Iterator[State]:
        if call.answer is None or failed(call.answer):
            yield state
        elif (row := state.get(self.id)) is not None:
            if not row.was_hold:
                row = row._replace(cost=self.cost, recorded=False, over=False)
            elif row.state != "actual":
                late = lateness(call, row)
                row = row._replace(
                    state="actual", cost=self.cost, expires=None, late=min(late) if len(late) == 1 else None
                )
            yield state.with_row(self.id, row)


@dataclass(frozen=True)
class Delete(Operation):
    """The application cancels."""

    statement = "DELETE FROM public.cost_tracking WHERE id = %(id)s RETURNING id"
    restarts_at = frozenset({ROW})

    def explains(self, call: Call, view: View) -> bool:
        return (call.answer is None) == (view.row is None) and not failed(call.answer)

    def effects(self, call: Call, state: State) -> Iterator[State]:
        if call.answer is None:
            yield state
        elif state.get(self.id) is not None:
            yield state.with_row(self.id, None)


# ---------------------------------------------------------------------------------------- limits and kill switch


@dataclass(frozen=True)
class SetSlots(Operation):
    """The room of the day is spread anew, over more rows or fewer. Nobody is to notice."""

    slots: int = 1

    statement = "SELECT slots FROM budget.set_budget('daily', NULL, p_slots => %(slots)s)"

    def explains(self, call: Call, view: View) -> bool:  # noqa: ARG002 - it tells of what it did alone
        return bool(call.answer == (self.slots,))

    def effects(self, call: Call, state: State) -> Iterator[State]:  # noqa: ARG002 - it changes nothing
        yield state


@dataclass(frozen=True)
class SetLimits(Operation):
    kill: int | None = None
    soft: int | None = None

    statement = """SELECT (emergency_kill * 100)::bigint, (daily_soft_cap * 100)::bigint
        FROM budget.set_limits(jsonb_strip_nulls(jsonb_build_object(
            'emergency_kill', %(kill)s::bigint / 100.0, 'daily_soft_cap', %(soft)s::bigint / 100.0)))"""

    def explains(self, call: Call, view: View) -> bool:
        whole = self._changed(view.config)
        return failed(call.answer) == (whole.soft > whole.kill) and call.answer in ("PB005", whole[:2])

    def effects(self, call: Call, state: State) -> Iterator[State]:
        if failed(call.answer):
            yield state
        elif call.answer == self._changed(state.config)[:2]:
            yield state.with_config(self._changed(state.config))

    def _changed(self, config: Config) -> Config:
        return config._replace(
            kill=config.kill if self.kill is None else self.kill, soft=config.soft if self.soft is None else self.soft
        )


@dataclass(frozen=True)
class Freeze(Operation):
    """Frozen already, it changes nothing, and then looks who did it; in between others may have unfrozen."""

    reason: str = ""

    statement = "SELECT frozen, reason FROM budget.freeze(%(reason)s)"

    def explains(self, call: Call, view: View) -> bool:
        now = view.state.config.frozen
        is_own: bool = call.answer == (True, self.reason)
        return is_own or (view.config.frozen is not None and call.answer == (now is not None, now))

    def effects(self, call: Call, state: State) -> Iterator[State]:
        if call.answer != (True, self.reason):
            yield state
        elif state.config.frozen is None:
            yield state.with_config(state.config._replace(frozen=self.reason))


@dataclass(frozen=True)
class Unfreeze(Operation):
    statement = "SELECT frozen, reason FROM budget.unfreeze()"

    def explains(self, call: Call, view: View) -> bool:
        now = view.state.config.frozen
        is_thawed: bool = call.answer == (False, None)
        return is_thawed or (view.config.frozen is None and call.answer == (now is not None, now))

    def effects(self, call: Call, state: State) -> Iterator[State]:
        yield state.with_config(state.config._replace(frozen=None)) if call.answer == (False, None) else state
