"""A reservation for the length of a `with` block; `Budget.hold` documents what becomes of it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

from pgbudget._client import LOG, OnError, ready, synchronous
from pgbudget._functions import Metadata, Money, money
from pgbudget.errors import Refused, UnknownReservation, Unsettled
from pgbudget.results import Outcome, Verdict


class _Hold:
    verdict: Verdict

    def __init__(self, budget: Any, estimate: Decimal, on_error: OnError, **request: Any) -> None:
        self.reservation_id, self.estimate = uuid4(), estimate
        self._budget, self._on_error, self._open = budget, on_error, True
        self._reserve = partial(
            budget.reserve_advisory, estimated_cost=estimate, reservation_id=self.reservation_id, **request
        )

    async def _enter(self) -> None:
        try:
            self.verdict = await ready(self._reserve())
        except BaseException as error:
            if not isinstance(error, Exception):  # broken off: it may have been granted
                await self._give_up("cancel", error)
            raise
        if not self.verdict:
            raise Refused(self.verdict)

    async def _leave(self, error: BaseException | None) -> None:
        if self._open and error is None:
            raise Unsettled(self.reservation_id)
        if self._open and error is not None:
            await self._give_up(self._on_error, error)

    async def _give_up(self, how: OnError, error: BaseException) -> None:
        why = type(error).__name__  # without its text, which may quote a prompt
        try:
            if how == "cancel":
                await ready(self._budget.cancel(self.reservation_id, why))
            else:
                await ready(self._budget.settle(self.reservation_id, self.estimate, {"settled_on_error": why}))
        except Exception as failure:
            if how == "keep" or not isinstance(failure, UnknownReservation):
                LOG.exception("hold %s of %s counts until it lapses", self.reservation_id, self.estimate)


class AsyncHold(_Hold):
    """What `async with budget.hold(…) as hold` gives.

    Attributes: `reservation_id`; `verdict`, the one of the reservation; `estimate`, the total reserved now.
    """

    async def settle(self, actual_cost: Money, metadata: Metadata | None = None) -> Outcome:
        """Turn the hold into the actual spend: `budget.settle`, with its arguments and errors."""
        self._open = False  # also if this fails: the money is spent, and the error says what to do
        outcome: Outcome = await ready(self._budget.settle(self.reservation_id, actual_cost, metadata))
        return outcome

    async def cancel(self, reason: str | None = None) -> Outcome:
        """Give the money back, because nothing was spent: `budget.cancel`, with its errors."""
        self._open = False
        outcome: Outcome = await ready(self._budget.cancel(self.reservation_id, reason))
        return outcome

    async def extend(self, new_estimate: Money | None = None, *, ttl: timedelta | None = None) -> Verdict:
        """Set the hold's new total estimate, or its time to live from now, or both, while a call streams.

        `budget.extend`, with its errors. A refusal is a verdict, and the hold stays as it was: stop the call, and
        settle what has been spent.
        """
        verdict: Verdict = await ready(self._budget.extend(self.reservation_id, new_estimate, ttl=ttl))
        if verdict and new_estimate is not None:
            self.estimate = money(new_estimate)
        return verdict

    async def __aenter__(self) -> AsyncHold:
        await self._enter()
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        await self._leave(error)


class Hold(_Hold):
    """What `with budget.hold(…) as hold` gives.

    Attributes: `reservation_id`; `verdict`, the one of the reservation; `estimate`, the total reserved now.
    """

    settle = synchronous(AsyncHold.settle)
    cancel = synchronous(AsyncHold.cancel)
    extend = synchronous(AsyncHold.extend)

    def __enter__(self) -> Hold:
        synchronous(_Hold._enter)(self)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        synchronous(_Hold._leave)(self, error)
