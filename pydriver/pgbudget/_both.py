"""One coroutine for both kinds of client: awaited by the asynchronous one, run on the spot by the other.

What the second gives to such a coroutine waits for no event loop: its connections, locks and pauses block instead.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")


async def ready(value: Awaitable[T] | T) -> T:
    """Return the value, once it is there."""
    return await value if isinstance(value, Awaitable) else value


@asynccontextmanager
async def entered(manager: Any) -> AsyncIterator[Any]:
    """Enter a context manager of either kind."""
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value


def synchronous(method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[Any, P], T]:
    """Make a method that answers at once of one that waits for no event loop."""

    @functools.wraps(method)
    def at_once(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            method(self, *args, **kwargs).send(None)
        except StopIteration as end:
            return cast(T, end.value)
        raise RuntimeError(f"{method.__name__} waits for an event loop")

    return at_once
