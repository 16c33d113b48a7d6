"""Random lives of a budget, lived by the database and by the model at once, and compared after every step."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.model.choices import (
    AMOUNTS,
    ASKED,
    BEGINNINGS,
    BROKEN,
    BY_HAND,
    CENTS,
    GIVEN,
    IDS,
    ILLEGAL,
    KINDS,
    METADATA,
    NEW_IDS,
    PLAIN_METADATA,
    QUESTIONS,
    SERVICES,
    SHORTLY,
    SOUND,
    SPANS,
    SPENT,
    TTLS,
    WHICH,
    WRONG,
    Amount,
    Question,
    Room,
    Same,
    Which,
    Wrong,
    in_zone,
)
from tests.model.database import Database, Failed, Rows, compare, compare_everything, id_in
from tests.model.days import DAY, MICROSECOND, UTC, clock_changes
from tests.model.limits import parse_json
from tests.model.model import ZERO, Budget, Row, SqlError

VARIANTS = st.sampled_from(["reserve", "reserve_advisory"])


class BudgetMachine(RuleBasedStateMachine):
    """Every public function and the application's own statements, in any order, at any time.

    `seen` counts the answers of each kind, and the lives of 50 steps and more. What would drown the rest if it came as
    often (a broken configuration, a new day) may come at every fourth step alone.
    """

    database: ClassVar[Database]
    seen: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.model = Budget(now=datetime(2000, 1, 1, tzinfo=UTC))
        self.steps = 0

    @initialize(
        beginning=BEGINNINGS, config=st.sampled_from(SOUND), session_zone=st.sampled_from(["UTC", "Asia/Tokyo"])
    )
    def begin(self, beginning: tuple[str, datetime], config: str, session_zone: str) -> None:
        """The caller's own time zone is to change nothing."""
        self.database.empty()
        self.database.ask(f"SET TimeZone TO '{session_zone}'")
        zone, at = beginning
        self.move_clock(at)
        self.write_config(in_zone(config, zone))

    def teardown(self) -> None:
        self.seen["lives of 50 steps"] += self.steps >= 50

    # Asking both

    def both(self, want: Callable[[], Any], have: Rows | Failed) -> None:
        """The database has answered; the model must say the same, and then both must hold the same."""
        with self.database.explaining():
            try:
                answer: Any = want()
            except SqlError as failure:
                compare("the answer", have, Failed(failure.sqlstate))
                self.seen[failure.sqlstate] += 1
            else:
                compare("the answer", have, [tuple(answer)])
                for column in ("reason", "status", "over_limit", "late"):
                    if hasattr(answer, column):
                        self.seen[f"{column} {getattr(answer, column)}"] += 1
        self.agree()

    def agree(self) -> None:
        self.steps += 1
        with self.database.explaining():
            compare_everything(self.database, self.model)

    # Choosing

    def pick(self, which: Which) -> tuple[UUID, Row | None]:
        """An id, and its row if there is one."""
        rows = list(self.model.rows.values())
        rows = [row for row in rows if which.kind in KINDS and KINDS[which.kind](row, self.model.now)] or rows
        if which.kind == "id" or not rows:
            return IDS[which.nth], self.model.rows.get(IDS[which.nth])
        row = rows[-1 - which.nth % len(rows)]
        if which.lapsing is not None and row.expires_at is not None:
            self.move_clock(row.expires_at + which.lapsing)
        return row.id, row

    def amount(self, choice: Amount, row: Row | None = None) -> Decimal:
        if isinstance(choice, Same):
            return max(ZERO, (row.cost if row else ZERO) + choice.more)
        if isinstance(choice, Room):
            at = row.created_at if row else self.model.now
            left = (self.model.limits_in_force.kill or ZERO) - self.model.total(at) + self.model.counted(row)
            holds = [hold for hold in self.model.rows_of_day(at) if hold.is_open(self.model.now) and hold is not row]
            first = sorted(holds, key=lambda hold: str(hold.expires_at))[: choice.lapses]
            return max(ZERO, left + sum((hold.cost for hold in first), ZERO) + choice.more)
        return choice

    # Holds

    def ask_reserve(
        self,
        variant: str,
        estimate: Decimal,
        service: str,
        metadata: Any = None,
        *,
        hold_id: UUID | None = None,
        ttl: timedelta | None = None,
    ) -> None:
        have = self.database.ask(
            f"SELECT * FROM budget.{variant}(p_estimated_cost => %s, p_service_name => %s, p_metadata => %s::jsonb,"
            " p_reservation_id => %s, p_ttl => %s)",
            estimate,
            service,
            as_json(metadata),
            hold_id,
            ttl,
        )
        self.both(
            lambda: self.model.reserve(
                estimate, service, metadata, reservation_id=hold_id, ttl=ttl, new_id=id_in(have, 2)
            ),
            have,
        )

    @rule(variant=VARIANTS, amount=ASKED, service=SERVICES, metadata=METADATA, hold_id=NEW_IDS, ttl=TTLS)
    def reserve(
        self, *, variant: str, amount: Amount, service: str, metadata: Any, hold_id: UUID | None, ttl: timedelta | None
    ) -> None:
        self.ask_reserve(variant, self.amount(amount), service, metadata, hold_id=hold_id, ttl=ttl)

    @rule(variant=VARIANTS, amount=CENTS, service=SERVICES)
    def reserve_as_most_do(self, variant: str, amount: Decimal, service: str) -> None:
        self.ask_reserve(variant, amount, service)

    @precondition(lambda self: bool(self.model.rows))
    @rule(
        variant=VARIANTS,
        which=WHICH,
        other=st.sampled_from(["nothing", "nothing", "nothing", "time to live", "estimate", "service", "metadata"]),
    )
    def reserve_again(self, variant: str, which: Which, other: str) -> None:
        """The same id, with the arguments it was first sent with but for one at most."""
        _, row = self.pick(which)
        row = row or next(iter(self.model.rows.values()))
        self.ask_reserve(
            variant,
            row.get("requested_cost", row.cost) + (other == "estimate"),
            "somebody else" if other == "service" else row.service_name,
            {"other": 1} if other == "metadata" else row.get("original_metadata"),
            hold_id=row.id,
            ttl=timedelta(seconds=1) if other == "time to live" else None,
        )

    @rule(amount=ASKED, service=SERVICES, metadata=METADATA)
    def check_and_reserve_budget(self, amount: Amount, service: str, metadata: Any) -> None:
        estimate = self.amount(amount)
        have = self.database.ask(
            "SELECT * FROM check_and_reserve_budget(%s, %s, %s::jsonb)", estimate, service, as_json(metadata)
        )
        self.both(lambda: self.model.reserve(estimate, service, metadata, new_id=id_in(have, 2))[:3], have)

    @rule(amount=ASKED, service=SERVICES, metadata=METADATA)
    def check(self, amount: Amount, service: str, metadata: Any) -> None:
        estimate = self.amount(amount)
        have = self.database.ask("SELECT * FROM budget.check(%s, %s, %s::jsonb)", estimate, service, as_json(metadata))
        self.both(lambda: self.model.check(estimate, service), have)

    @rule(which=WHICH, amount=st.none() | SPENT, ttl=st.none() | TTLS)
    def extend(self, which: Which, amount: Amount | None, ttl: timedelta | None) -> None:
        hold_id, row = self.pick(which)
        new = None if amount is None else self.amount(amount, row)
        have = self.database.ask(
            "SELECT * FROM budget.extend(%s, p_new_estimate => %s, p_ttl => %s)", hold_id, new, ttl
        )
        self.both(lambda: self.model.extend(hold_id, new, ttl), have)

    @rule(which=WHICH, amount=SPENT, metadata=METADATA)
    def settle(self, which: Which, amount: Amount, metadata: Any) -> None:
        hold_id, row = self.pick(which)
        actual = self.amount(amount, row)
        have = self.database.ask("SELECT * FROM budget.settle(%s, %s, %s::jsonb)", hold_id, actual, as_json(metadata))
        self.both(lambda: self.model.settle(hold_id, actual, metadata), have)

    @rule(which=WHICH, reason=st.sampled_from([None, "the call failed"]))
    def cancel(self, which: Which, reason: str | None) -> None:
        hold_id, _ = self.pick(which)
        have = self.database.ask("SELECT * FROM budget.cancel(%s, %s)", hold_id, reason)
        self.both(lambda: self.model.cancel(hold_id, reason), have)

    @precondition(lambda self: bool(self.model.rows))
    @rule(limit=st.sampled_from([1, 2, 1000]))
    def expire(self, limit: int) -> None:
        """Not so many that it leaves one of two that lapsed at one instant: which one is not the same every time.

        Hypothesis tells such a life from its repetition by the rules that can come next, and calls it flaky.
        """
        ends = sorted(row.expires_at for row in self.model.lapsed() if row.expires_at)
        if len(ends) > limit and ends[limit - 1] == ends[limit]:
            limit = 1000
        have = self.database.ask("SELECT * FROM budget.expire(%s)", limit)
        marked = self.database.ask("SELECT id FROM cost_tracking WHERE metadata ->> 'type' = 'expired'")
        chosen = [row.id for row in self.model.lapsed() if (row.id,) in marked]
        self.both(lambda: self.model.expire(limit, chosen), have)

    # Spend that had no hold

    def ask_record(self, actual: Decimal, service: str, metadata: Any, row_id: UUID | None) -> None:
        have = self.database.ask(
            "SELECT * FROM budget.record(%s, %s, %s::jsonb, p_id => %s)", actual, service, as_json(metadata), row_id
        )
        self.both(lambda: self.model.record(actual, service, metadata, row_id, id_in(have, 0)), have)

    @rule(amount=AMOUNTS, service=SERVICES, metadata=METADATA, row_id=NEW_IDS)
    def record(self, amount: Amount, service: str, metadata: Any, row_id: UUID | None) -> None:
        self.ask_record(self.amount(amount), service, metadata, row_id)

    @precondition(lambda self: bool(self.model.rows))
    @rule(nth=st.integers(0, 5), more=st.sampled_from([0, 0, 1]))
    def record_again(self, nth: int, more: int) -> None:
        _, row = self.pick(Which("recorded", nth))
        assert row is not None
        self.ask_record(row.cost + more, row.service_name, row.get("original_metadata"), row.id)

    # Limits and the kill switch

    @rule(given=GIVEN)
    def set_limits(self, given: str) -> None:
        have = self.database.ask("SELECT * FROM budget.set_limits(%s)", given)
        self.both(lambda: self.model.set_limits(parse_json(given)), have)

    @precondition(lambda self: self.steps % 4 == 0 and not self.model.limits_in_force.is_broken)
    @rule(config=st.sampled_from(BROKEN))
    def break_config(self, config: str | None) -> None:
        self.write_config(config)

    @precondition(lambda self: self.model.limits_in_force.is_broken)
    @rule(config=st.sampled_from(SOUND))
    def mend_config(self, config: str) -> None:
        self.write_config(config)

    def write_config(self, config: str | None) -> None:
        if config is None:
            self.database.ask("DELETE FROM system_config WHERE key = 'budget_limits'")
        else:
            self.database.ask(
                "INSERT INTO system_config (key, value) VALUES ('budget_limits', %s)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                config,
            )
        self.model.configure(parse_json(config))
        self.agree()

    @precondition(lambda self: self.steps % 4 == 3)
    @rule(reason=st.sampled_from(["too dear", None, None]))
    def freeze_or_unfreeze(self, reason: str | None) -> None:
        if reason is None:
            self.both(self.model.unfreeze, self.database.ask("SELECT * FROM budget.unfreeze()"))
        else:
            have = self.database.ask("SELECT * FROM budget.freeze(%s)", reason)
            self.both(lambda: self.model.freeze(reason), have)

    # Questions and wrong calls

    @precondition(lambda self: self.steps % 4 == 1)
    @rule(question=QUESTIONS)
    def ask_around(self, question: Question) -> None:
        have = self.database.ask(question.query, *question.arguments)
        self.both(lambda: question.answer(self.model), have)

    @precondition(lambda self: not self.model.limits_in_force.is_broken)
    @rule(wrong=WRONG, which=WHICH)
    def call_wrongly(self, wrong: Wrong, which: Which) -> None:
        """Under limits that hold: which of two errors comes first is nobody's business."""
        row_id, _ = self.pick(which)
        self.database.ask(f"BEGIN ISOLATION LEVEL {wrong.isolation}")
        have = self.database.ask(f"SELECT * FROM budget.{wrong.call}", *[row_id] * wrong.call.count("%s"))
        self.database.ask("ROLLBACK")
        with self.database.explaining():
            compare("the answer", have, Failed(wrong.sqlstate))
        self.seen[wrong.sqlstate] += 1
        self.agree()

    # The application's own way

    @rule(amount=AMOUNTS | ILLEGAL, service=SERVICES, metadata=PLAIN_METADATA)
    def insert_spend(self, amount: Amount, service: str, metadata: Any) -> None:
        """As the application does, without an id and a time."""
        cost = self.amount(amount)
        have = self.database.ask(
            "INSERT INTO cost_tracking (cost, service_name, metadata) VALUES (%s, %s, %s::jsonb) RETURNING id",
            cost,
            service,
            as_json(metadata),
        )
        self.both(lambda: [self.model.insert(cost, service, metadata, self.model.now, id_in(have, 0))], have)

    @rule(
        amount=AMOUNTS,
        service=SERVICES,
        when=st.sampled_from(
            ["the day begins", "the day before ends", "the day ends", "the next day begins", "a week ago"]
        ),
    )
    def insert_spend_of_another_time(self, amount: Amount, service: str, when: str) -> None:
        """As the application's tests do."""
        cost, today = self.amount(amount), self.model.day_of(self.model.now)
        at = {
            "the day begins": today.starts_at,
            "the day before ends": today.starts_at - MICROSECOND,
            "the day ends": today.ends_at - MICROSECOND,
            "the next day begins": today.ends_at,
            "a week ago": self.model.now - 7 * DAY,
        }[when]
        have = self.database.ask(
            "INSERT INTO cost_tracking (cost, service_name, created_at) VALUES (%s, %s, %s) RETURNING id",
            cost,
            service,
            at,
        )
        self.both(lambda: [self.model.insert(cost, service, {}, at, id_in(have, 0))], have)

    @rule(
        amount=AMOUNTS, service=SERVICES, hold_id=st.sampled_from(IDS), own=st.sampled_from([{}, {"own": 1, "late": 1}])
    )
    def insert_hold(self, amount: Amount, service: str, hold_id: UUID, own: dict[str, Any]) -> None:
        """As the handover's function does."""
        cost = self.amount(amount)
        metadata = {"type": "reservation", "original_metadata": {"work_order_id": "8"}, **own}
        have = self.database.ask(
            "INSERT INTO cost_tracking (id, cost, service_name, metadata, created_at)"
            " VALUES (%s, %s, %s, %s::jsonb, budget._now()) RETURNING id",
            hold_id,
            cost,
            service,
            as_json(metadata),
        )
        self.both(lambda: [self.model.insert(cost, service, metadata, self.model.now, hold_id)], have)

    def ask_update(self, row_id: UUID, cost: Decimal, metadata: Any) -> None:
        have = self.database.ask(
            "UPDATE cost_tracking SET cost = %s, metadata = %s::jsonb WHERE id = %s", cost, as_json(metadata), row_id
        )
        self.both(lambda: [self.model.update(row_id, cost, metadata)], have)

    @rule(which=WHICH, amount=SPENT, metadata=METADATA)
    def update_with_actual(self, which: Which, amount: Amount, metadata: Any) -> None:
        """As the application settles."""
        row_id, row = self.pick(which)
        metadata = {"type": "actual", "updated_at": "2025-10-03T12:00:00.000Z", **(metadata or {})}
        self.ask_update(row_id, self.amount(amount, row), metadata)

    @rule(which=WHICH, amount=SPENT | st.just(ZERO) | ILLEGAL, metadata=BY_HAND)
    def update_by_hand(self, which: Which, amount: Amount, metadata: Any) -> None:
        row_id, row = self.pick(which)
        self.ask_update(row_id, self.amount(amount, row), metadata)

    @precondition(lambda self: len(self.model.rows) > 3)
    @rule(which=WHICH)
    def delete(self, which: Which) -> None:
        """As the application cancels, and clears away after its tests."""
        row_id, _ = self.pick(which)
        have = self.database.ask("DELETE FROM cost_tracking WHERE id = %s", row_id)
        self.both(lambda: [self.model.delete(row_id)], have)

    # Time

    def move_clock(self, now: datetime) -> None:
        self.model.now = max(now, self.model.now)
        self.database.set_clock(self.model.now)

    def lapses(self) -> list[datetime]:
        """When the open holds lapse."""
        return sorted(
            row.expires_at for row in self.model.rows.values() if row.expires_at and row.is_open(self.model.now)
        )

    def clock_change(self) -> datetime | None:
        """When the clocks of the budget's zone are changed next, if it is soon."""
        return next(clock_changes(self.model.limits_in_force.zone, self.model.now, self.model.now + 2 * DAY), None)

    @precondition(lambda self: self.steps % 4 == 2)
    @rule(span=SPANS)
    def time_passes(self, span: timedelta) -> None:
        self.move_clock(self.model.now + span)
        self.agree()

    @precondition(lambda self: bool(self.lapses()))
    @rule(nth=st.integers(0, 3), more=SHORTLY)
    def until_a_hold_lapses(self, nth: int, more: timedelta) -> None:
        lapses = self.lapses()
        self.move_clock(lapses[nth % len(lapses)] + more)
        self.agree()

    @precondition(lambda self: self.steps % 4 == 2)
    @rule(more=SHORTLY)
    def until_the_day_ends(self, more: timedelta) -> None:
        self.move_clock(self.model.day_of(self.model.now).ends_at + more)
        self.agree()

    @precondition(lambda self: self.clock_change() is not None)
    @rule(more=SHORTLY)
    def until_the_clocks_change(self, more: timedelta) -> None:
        change = self.clock_change()
        assert change is not None
        self.move_clock(change + more)
        self.agree()


def as_json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)
