"""How values travel, and how our own connections are pinned: the same for every session, whatever it was told.

DateStyle, IntervalStyle, extra_float_digits and their like shape text, so results travel in binary. Loaders, dumpers,
row factories and cursor classes that the application gave its connection, or all of psycopg, are for its own queries.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import postgres
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import AdaptersMap, Dumper, Loader
from psycopg.pq import Format, TransactionStatus
from psycopg.types.array import register_all_arrays
from psycopg.types.datetime import TimestamptzBinaryLoader

from pgbudget._conninfo import readable
from pgbudget._loading import Beyond

SEARCH_PATH = "pg_catalog, pg_temp"


class _Encoded(Loader):
    format = Format.BINARY

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        connection = context.connection if context else None
        encoding = connection.info.encoding if connection else "utf-8"
        # Under SQL_ASCII the bytes come as they are stored.
        self._encoding = "utf-8" if encoding == "ascii" else encoding


class _Text(_Encoded):
    """Text, where psycopg's own loader gives bytes if it is not told their encoding."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode(self._encoding, "replace")


class _Jsonb(_Encoded):
    """JSON as the module json reads it; a byte with the format's version stands before it."""

    def load(self, data: Buffer) -> Any:
        return json.loads(bytes(data)[1:].decode(self._encoding, "replace"))


class _Instant(TimestamptzBinaryLoader):
    """An instant, also one that Python cannot hold."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            sent = bytes(data)
            if sent[1:] in (b"\xff" * 7, b"\x00" * 7):
                return Beyond.of("infinity" if sent[1] else "-infinity")
            years = int.from_bytes(sent, "big", signed=True) // 31_556_952_000_000  # microseconds of an average year
            return Beyond.of(f"about {2000 + years}" if years > 0 else f"about {-2000 - years} BC")


class _Span(Dumper):
    """A length of time. Each field has its sign, so that no IntervalStyle reads one sign for all."""

    oid = postgres.types["interval"].oid

    def dump(self, obj: timedelta) -> bytes:
        return b"%+d days %+d seconds %+d microseconds" % (obj.days, obj.seconds, obj.microseconds)


def _adapters() -> AdaptersMap:
    made = AdaptersMap(types=postgres.types)
    postgres.register_default_adapters(made)
    for name in ("text", "name", "varchar", "bpchar"):
        made.register_loader(name, _Text)
    made.register_loader("jsonb", _Jsonb)
    made.register_loader("timestamptz", _Instant)
    made.register_dumper(timedelta, _Span)
    register_all_arrays(made)
    return made


ADAPTERS = _adapters()


class Cursor(psycopg.Cursor[Any]):
    """A cursor whose results are binary, and whose adapters are ours."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.format = Format.BINARY

    @property
    def adapters(self) -> AdaptersMap:
        """The same for every cursor."""
        return ADAPTERS


class AsyncCursor(psycopg.AsyncCursor[Any]):
    """`Cursor` for asyncio."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.format = Format.BINARY

    @property
    def adapters(self) -> AdaptersMap:
        """The same for every cursor."""
        return ADAPTERS


def cursor(connection: Any, row_factory: Any) -> Any:
    """Return a cursor of ours on a connection of either kind, whatever class its own cursors have."""
    kind = AsyncCursor if isinstance(connection, psycopg.AsyncConnection) else Cursor
    return kind(connection, row_factory=row_factory)


_PINNED = {
    "search_path": SEARCH_PATH,
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "client_encoding": "UTF8",
}
"""For the transactions of our own connections: no name is looked up where others may create, and text is as we read it.

All of it ends with the transaction, so that a session goes back to a pooler as it was found.
"""


@contextmanager
def pinned(connection: psycopg.Connection[Any], **settings: str) -> Iterator[None]:
    """Run a block in one pinned transaction.

    Args:
        connection: of ours, or yoyo's.
        settings: further ones for the transaction.
    """
    with connection.transaction():
        _pin(connection, {**_PINNED, **settings})
        yield


def _pin(connection: psycopg.Connection[Any], settings: dict[str, str]) -> None:
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":  # texts of any bytes, which are not recoded
        settings = {name: value for name, value in settings.items() if name != "client_encoding"}
    calls = ", ".join(["pg_catalog.set_config(%s, %s, true)"] * len(settings))
    values = [part for setting in settings.items() for part in setting]
    psycopg.Cursor(connection).execute(f"SELECT {calls}".encode(), values)


class _PinnedCursor(psycopg.Cursor[Any]):
    """A statement outside a transaction gets one of its own, which is pinned."""

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        if self.connection.info.transaction_status != TransactionStatus.IDLE:
            return super().execute(*args, **kwargs)
        with self.connection.transaction():
            return super().execute(*args, **kwargs)


class PinnedConnection(psycopg.Connection[Any]):
    """A connection of ours, whose every transaction is pinned, a lone statement's too."""

    schemas: list[str]
    """The role's own search path, as far as there are such schemas."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cursor_factory = _PinnedCursor

    @contextmanager
    def transaction(self, *args: Any, **kwargs: Any) -> Iterator[psycopg.Transaction]:
        """Run a block in a transaction, or in a savepoint of the one that is open."""
        is_outermost = self.info.transaction_status == TransactionStatus.IDLE
        with super().transaction(*args, **kwargs) as transaction:
            if is_outermost:
                _pin(self, _PINNED)
            yield transaction


def connect(dsn: str, application: str) -> PinnedConnection:
    """Open a connection of ours: autocommit, nothing prepared, because a transaction pooler may stand in between."""
    opened = PinnedConnection.connect(
        readable(dsn), autocommit=True, prepare_threshold=None, fallback_application_name=application
    )
    opened.schemas = own_schemas(opened)
    return opened


def own_schemas(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the schemas of the search path, outside a transaction that pins it."""
    row = Cursor(connection).execute("SELECT pg_catalog.current_schemas(false)").fetchone()
    return list(row[0]) if row else []


def is_pooled(connection: psycopg.Connection[Any]) -> bool:
    """Return whether a pooler stands between: the server's process is not the one that greeted this client."""
    return _process(connection) != connection.info.backend_pid


def shares_sessions(connection: psycopg.Connection[Any], dsn: str) -> bool:
    """Return whether a pooler lends the server's sessions by the transaction, or lets two clients share one.

    A pooler that keeps a session for each client, and a proxy that only greets in its own name, do not.

    Args:
        connection: of ours, to `dsn`.
        dsn: a second connection asks beside the first.
    """
    if not is_pooled(connection):
        return False
    with connect(dsn, "pgbudget") as other:
        both = [(_process(connection), _process(other)) for _ in range(20)]
    mine, theirs = map(set, zip(*both, strict=True))
    return len(mine) > 1 or not mine.isdisjoint(theirs)


def _process(connection: psycopg.Connection[Any]) -> int:
    [(pid,)] = connection.execute("SELECT pg_catalog.pg_backend_pid()")
    return int(pid)
