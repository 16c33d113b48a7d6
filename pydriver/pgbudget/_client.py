"""What both clients do with a call, written once, as coroutines over psycopg's two kinds of connection.

`AsyncBudget` has them awaited. `Budget` runs them on the spot: nothing that it gives them waits for an event loop.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import timedelta
from typing import Any, Generic, Literal, TypeAlias, TypeVar, cast, get_args

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import scalar_row

from pgbudget import _wire
from pgbudget._arguments import Metadata, Money, money
from pgbudget._both import entered, ready
from pgbudget._conninfo import readable
from pgbudget._functions import Call, Functions
from pgbudget.errors import DatabaseBehind, InTransaction, translated
from pgbudget.results import Event

T = TypeVar("T")
Source = TypeVar("Source")
Held = TypeVar("Held")
OnError: TypeAlias = Literal["cancel", "keep"]
Listener: TypeAlias = Callable[[Event], object]

LOG = logging.getLogger("pgbudget")
REQUIRED_VERSION = "1.0"
_VERSION: Call[str] = Call("version", b"SELECT budget.version()", {}, {}, scalar_row)


class Client(Functions, Generic[Source, Held]):
    """Connections, transactions, repeats, errors."""

    _connect: Callable[..., Any]
    _enters: str
    _hold: Callable[..., Held]
    _lock: Callable[[], Any]
    _sleep: Callable[[float], Any]

    def __init__(
        self, source: Source, *, in_transaction: bool = False, attempts: int = 3, on_event: Listener | None = None
    ) -> None:
        if not (isinstance(source, str) or hasattr(source, self._enters)):
            raise TypeError(f"{type(self).__name__} takes a conninfo string, or its own kind of connection or pool")
        if in_transaction and not isinstance(source, psycopg.BaseConnection):
            raise TypeError("in_transaction needs the connection whose transaction it is")
        self._source: Any = source
        self._in_transaction, self._attempts, self._on_event = in_transaction, attempts, on_event
        self._own: Any = None
        self._opening = self._lock()
        self._version_checked = False

    def hold(
        self,
        estimated_cost: Money,
        service_name: str,
        metadata: Metadata | None = None,
        *,
        ttl: timedelta | None = None,
        on_error: OnError = "cancel",
    ) -> Held:
        """Reserve for the length of a `with` block, which has to settle: `budget.reserve_advisory` and what ends it.

        ::

            with budget.hold(Decimal("0.25"), "summaries") as hold:  # `async with` for AsyncBudget
                answer = call_the_model()
                hold.settle(answer.cost)

        Where the block does not settle, the doubt is on the side of money spent:

        - An exception before `settle` cancels the hold. With `on_error="keep"` it is settled at its estimate instead:
          for calls that are billed also when they fail, time out, stream to somebody who leaves, or are cancelled.
          The exception goes on in either case; if ending the hold fails too, the logger `pgbudget` says so, and the
          hold counts until it lapses.
        - An exception from `settle` itself, or after it, changes nothing more: the money is spent.
        - Leaving the block without `settle` or `cancel` is `Unsettled`. The hold counts until it lapses: nobody has
          said that the money was not spent, and a limit that counts too much for an hour is the lesser evil.

        Args:
            estimated_cost: in the currency of the limits.
            service_name: who spends, 1 to 200 characters.
            metadata: a JSON object, at most 64 KiB; Decimals are kept as text.
            ttl: when the hold lapses if this process dies; by default the configured time.
            on_error: `cancel` or `keep`.

        Raises:
            Refused: on entering, with the verdict, if there is no room; and what `reserve` raises.
            Unsettled: on leaving.
            InTransaction: for a client with `in_transaction=True`: the decision lock would outlast the block.
        """
        if self._in_transaction:
            raise InTransaction("hold() would keep every other caller waiting until the transaction ends")
        if on_error not in get_args(OnError):
            raise ValueError(f"on_error is cancel or keep, not {on_error!r}")
        return self._hold(self, money(estimated_cost), on_error, service_name=service_name, metadata=metadata, ttl=ttl)

    async def _run(self, call: Call[T]) -> T:
        attempt = 0
        while True:
            attempt, began, connection = attempt + 1, time.monotonic(), None
            try:
                async with entered(await self._lend()) as connection:
                    await self._check_version(connection)
                    result = await self._fetch(connection, call)
            except BaseException as error:
                raised = translated(error, call.function, call.arguments)
                self._tell(Event(call.function, time.monotonic() - began, attempt, error=raised))
                if attempt >= self._attempts or not await self._may_repeat(error, connection, attempt):
                    raise raised  # noqa: B904 - it has its cause
            else:
                self._tell(Event(call.function, time.monotonic() - began, attempt, result))
                return result
            await ready(self._sleep(random.uniform(0.05, 0.1) * 2**attempt))  # noqa: S311 - the herd is to spread

    async def _may_repeat(self, error: BaseException, connection: Any, attempt: int) -> bool:
        if self._in_transaction or not isinstance(error, psycopg.Error):
            return False
        if error.sqlstate in ("40001", "40P01", "55P03"):  # all of it was undone
            return True
        if connection is None:  # a server that recovers refuses to connect at first
            return attempt > 1 and isinstance(self._source, str)
        if not connection.closed or connection is self._source:
            return False
        if not isinstance(self._source, str):
            await ready(self._source.check())  # the pool's other connections may have been lost with this one
        return True

    def _tell(self, event: Event) -> None:
        if self._on_event:
            try:
                self._on_event(event)
            except Exception:
                LOG.exception("on_event failed")

    async def _lend(self) -> Any:
        if isinstance(self._source, psycopg.BaseConnection):
            return nullcontext(self._source)
        if not isinstance(self._source, str):
            return self._source.connection()
        async with entered(self._opening):
            if self._own is None or self._own.closed:
                # Prepared statements are off because a transaction pooler may stand in between.
                conninfo = readable(self._source)
                self._own = await ready(self._connect(conninfo, autocommit=True, prepare_threshold=None))
            return nullcontext(self._own)

    async def _check_version(self, connection: Any) -> None:
        if not self._version_checked:
            found = "no pgbudget"
            with suppress(psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName):
                version = await self._fetch(connection, _VERSION)
                found = f"pgbudget {version}"
            if _numbers(found) < _numbers(REQUIRED_VERSION):
                message = f"the database has {found}; this driver needs {REQUIRED_VERSION} or later"
                raise DatabaseBehind(message, hint="Run `pgbudget migrate`.")
            self._version_checked = True

    async def _fetch(self, connection: Any, call: Call[T]) -> T:
        async with entered(self._transaction(connection)):
            cursor = _wire.cursor(connection, call.row_factory)
            await ready(cursor.execute(call.query, call.parameters))
            return cast(T, await ready(cursor.fetchall() if call.is_batch else cursor.fetchone()))

    def _transaction(self, connection: Any) -> Any:
        if self._in_transaction:
            return nullcontext()
        if connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            raise InTransaction(
                "the connection is inside a transaction, and a lock taken in it would hold up every other caller",
                hint="Commit or roll back first, use a connection of its own, or say in_transaction=True.",
            )
        return nullcontext() if connection.autocommit else connection.transaction()


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
