"""The clients: `Budget`, and `AsyncBudget` for asyncio. They invoke the functions; no rule, sum or limit is theirs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from typing import Any, Protocol, TypeVar

import psycopg

from pgbudget._both import synchronous
from pgbudget._client import LOG, Client
from pgbudget._functions import Call
from pgbudget.errors import POSTING
from pgbudget.hold import AsyncHold, Hold

T = TypeVar("T")
Lent_co = TypeVar("Lent_co", covariant=True)
Connection = psycopg.Connection[Any]
AsyncConnection = psycopg.AsyncConnection[Any]
GRACE_SECONDS = 10.0


class Pool(Protocol[Lent_co]):
    """What is used of `psycopg_pool.ConnectionPool` or `AsyncConnectionPool`."""

    def connection(self) -> Lent_co:
        """Lend a connection."""

    def check(self) -> Any:
        """Replace the connections that were lost."""


class Budget(Client[str | Connection | Pool[AbstractContextManager[Connection]], Hold]):
    """The functions of schema `budget` as methods: same names, Decimal money, typed results.

    Each call is a short transaction of its own. One that the server undid (deadlock, serialization failure, lock not
    free in time), or that lost a connection which can be replaced, is repeated after a moment: that is safe, because
    whatever reserves or records has an id before it is first sent.

    Many threads may share a client of a conninfo string, one call at a time, or better of a pool. Behind PgBouncer give
    your own connections and pools `prepare_threshold=None`, as this client does with the one that it opens.

    Args:
        source: a conninfo string (one connection, opened when needed and again when lost; close it with `close` or
            a `with` block), a `psycopg.Connection`, or a `psycopg_pool.ConnectionPool`.
        in_transaction: let calls run inside a transaction that is open on the given connection. The decision lock
            then lasts until that transaction ends, and nothing is repeated for you.
        attempts: how often a call is tried at most; 1 repeats nothing.
        on_event: is called with an `Event` after every attempt, in the thread of the call. What it raises is logged.

    Raises:
        BudgetError: from every call, where the error concerns the budget; else psycopg's own error.
        DatabaseBehind: from the first call, which asks the database for the version of its functions.
    """

    _connect: Callable[..., Any] = staticmethod(Connection.connect)
    _sleep = staticmethod(time.sleep)
    _enters, _hold, _lock = "__enter__", Hold, threading.Lock

    def _invoke(self, call: Call[T]) -> T:
        return synchronous(Client._run)(self, call)

    def __enter__(self) -> Budget:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection that was opened for a conninfo string; others belong to the caller."""
        if self._own is not None:
            self._own.close()


class AsyncBudget(Client[str | AsyncConnection | Pool[AbstractAsyncContextManager[AsyncConnection]], AsyncHold]):
    """`Budget` for asyncio: the same methods, to be awaited, over psycopg's asynchronous connections and pools.

    A `settle`, `cancel` or `record` that has begun is finished before a cancellation of its task takes effect, for at
    most 10 seconds: known spend is not dropped because nobody waits for it any more. Everything else is broken off.
    """

    _connect, _sleep = staticmethod(AsyncConnection.connect), staticmethod(asyncio.sleep)
    _enters, _hold, _lock = "__aenter__", AsyncHold, asyncio.Lock

    def _invoke(self, call: Call[T]) -> Coroutine[Any, Any, T]:
        return self._finish(call) if call.function in POSTING else self._run(call)

    async def _finish(self, call: Call[T]) -> T:
        task = asyncio.create_task(self._run(call))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            asyncio.get_running_loop().call_later(GRACE_SECONDS, task.cancel)
            while not task.done():
                with suppress(asyncio.CancelledError):  # anyio cancels again at every turn of the loop
                    await asyncio.wait({task})
            if task.cancelled() or task.exception():
                LOG.error("cancelled, and not delivered: %s %s", call.function, call.arguments)
            raise

    async def __aenter__(self) -> AsyncBudget:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection that was opened for a conninfo string; others belong to the caller."""
        if self._own is not None:
            await self._own.close()
