"""A reservation for the length of a `with` block; `Budget.hold` documents what becomes of it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import uuid4

from pgbudget._arguments import Metadata, Money, money
from pgbudget._both import ready, synchronous
from pgbudget._client import LOG, OnError
from pgbudget.errors import Refused, UnknownReservation, Unsettled
from pgbudget.results import Outcome, Verdict


class _Hold:
    verdict: Verdict

    def __init__(self, budget: Any, estimate: Decimal, on_error: OnError, **request: Any) -> None:
        self.reservation_id, self.estimate = uuid4(), estimate
        self._request = {"reservation_id": self.reservation_id, **request}
        self._budget, self._on_error, self._open = budget, on_error, True

    async def _enter(self) -> None:
        try:
            self.verdict = await ready(self._budget.reserve_advisory(self.estimate, **self._request))
        except Exception:
            raise
        except BaseException as error:  # broken off: it may have been granted
            await self._give_up("cancel", error)
            raise
        if not self.verdict:
            raise Refused(self.verdict)

    async def _leave(self, _: object, error: BaseException | None, __: object) -> None:
        if self._open and error:
            await self._give_up(self._on_error, error)
        elif self._open:
            raise Unsettled(self.reservation_id)

    async def _give_up(self, how: OnError, error: BaseException) -> None:
        why = type(error).__name__  # without its text, which may quote a prompt
        settlement = (self.estimate, {"settled_on_error": why})
        try:
            await (self._end("cancel", why) if how == "cancel" else self._end("settle", *settlement))
        except Exception as failure:
            if how == "keep" or not isinstance(failure, UnknownReservation):
                LOG.exception("hold %s of %s counts until it lapses", self.reservation_id, self.estimate)

    async def _end(self, function: str, *arguments: object) -> Outcome:
        self._open = False  # also if this fails: the money is spent, and the error says what to do
        return cast(Outcome, await ready(getattr(self._budget, function)(self.reservation_id, *arguments)))


class AsyncHold(_Hold):
    """What `async with budget.hold(…) as hold` gives.

    Attributes: `reservation_id`; `verdict`, the one of the reservation; `estimate`, the total reserved now.
    """

    async def settle(self, actual_cost: Money, metadata: Metadata | None = None) -> Outcome:
        """Turn the hold into the actual spend: `budget.settle`, with its arguments and errors."""
        return await self._end("settle", actual_cost, metadata)

    async def cancel(self, reason: str | None = None) -> Outcome:
        """Give the money back, because nothing was spent: `budget.cancel`, with its errors."""
        return await self._end("cancel", reason)

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

    __aexit__ = _Hold._leave


class Hold(_Hold):
    """What `with budget.hold(…) as hold` gives.

    Attributes: `reservation_id`; `verdict`, the one of the reservation; `estimate`, the total reserved now.
    """

    settle = synchronous(AsyncHold.settle)
    cancel = synchronous(AsyncHold.cancel)
    extend = synchronous(AsyncHold.extend)
    __exit__ = synchronous(_Hold._leave)

    def __enter__(self) -> Hold:
        synchronous(_Hold._enter)(self)
        return self
