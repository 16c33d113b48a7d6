"""Both clients over every kind of source; an `AsyncBudget` is awaited on the spot, so that one test serves both."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from pgbudget import AsyncBudget, AsyncHold, Budget
from tests.race import SECONDS

CLIENTS = ("Budget", "AsyncBudget")


class Awaited:
    """An asynchronous client, hold, connection or pool that answers like the synchronous one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target: Any) -> None:
        self._loop, self._target = loop, target

    def __enter__(self) -> Awaited:
        self._loop.run_until_complete(self._target.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.run_until_complete(self._target.__aexit__(*error))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        return self._awaiting(value) if callable(value) else value

    def _awaiting(self, method: Any) -> Any:
        def answer(*args: object, **kwargs: object) -> Any:
            result = method(*args, **kwargs)
            if inspect.isawaitable(result):
                return self._loop.run_until_complete(result)
            return Awaited(self._loop, result) if isinstance(result, AsyncHold) else result

        return answer


class Open:
    """Opens clients of one kind for a test, and closes their sources after it."""

    def __init__(self, kind: str, dsn: str) -> None:
        self.kind, self.dsn, self._closing = kind, dsn, ExitStack()
        self._loop = asyncio.new_event_loop()
        self._closing.callback(self._loop.close)

    def __enter__(self) -> Open:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def __call__(self, source: Any = None, **options: Any) -> Budget:
        """Return a client of this source, by default the database's conninfo."""
        source = source or self.dsn
        if self.kind == "Budget":
            return self._closing.enter_context(Budget(source, **options))
        source = source._target if isinstance(source, Awaited) else source
        return cast(Budget, self._closing.enter_context(cast(Any, Awaited(self._loop, AsyncBudget(source, **options)))))

    def connection(self, **options: Any) -> Any:
        """Return a connection of the client's kind."""
        options = {"autocommit": True, **options}
        if self.kind == "Budget":
            return self._closing.enter_context(psycopg.connect(self.dsn, **options))
        connection = self._loop.run_until_complete(psycopg.AsyncConnection.connect(self.dsn, **options))
        return self._closing.enter_context(Awaited(self._loop, connection))

    def pool(self, size: int = 2) -> Any:
        """Return a filled pool of the client's kind."""
        if self.kind == "Budget":
            pool: Any = ConnectionPool(self.dsn, min_size=size, max_size=size, open=False)
        else:
            pool = Awaited(self._loop, AsyncConnectionPool(self.dsn, min_size=size, max_size=size, open=False))
        self._closing.enter_context(pool)
        pool.wait(SECONDS)
        return pool


@pytest.fixture(params=CLIENTS)
def open_budget(request: pytest.FixtureRequest, dsn: str) -> Iterator[Open]:
    with Open(request.param, dsn) as opened:
        yield opened


@pytest.fixture
def budget(open_budget: Open) -> Budget:
    """Each of the clients, over a connection of its own."""
    return open_budget()


@pytest.fixture(params=["conninfo", "autocommit", "plain", "pool"])
def any_budget(request: pytest.FixtureRequest, open_budget: Open) -> Budget:
    """Each of the clients over each kind of source."""
    sources: dict[str, Callable[[], Any]] = {
        "conninfo": lambda: open_budget.dsn,
        "autocommit": open_budget.connection,
        "plain": lambda: open_budget.connection(autocommit=False),
        "pool": open_budget.pool,
    }
    return open_budget(sources[request.param]())
