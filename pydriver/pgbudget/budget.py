"""The synchronous client. It invokes the functions and holds no rule, no sum and no limit."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import NumericLoader

from pgbudget import _sql
from pgbudget.errors import DatabaseBehind, InTransaction, UndeliveredSettlement, translated

P = ParamSpec("P")
T = TypeVar("T")
Connection = psycopg.Connection[Any]

REQUIRED_VERSION = (1, 0)
_ATTEMPTS = 3
_POSTING = ("settle", "cancel", "record")
"""They report what has happened already: one that is not delivered must not get lost."""


class Pool(Protocol):
    """What is used of a `psycopg_pool.ConnectionPool`."""

    def connection(self) -> AbstractContextManager[Connection]:
        """Lend a connection."""


def _method(build: Callable[P, _sql.Call[T]]) -> Callable[Concatenate[Budget, P], T]:
    @functools.wraps(build)
    def method(self: Budget, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(build(*args, **kwargs))

    # `wraps` alone would make help() show the builder's signature, one argument short and with its own result.
    signature = inspect.signature(build)
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[own, *signature.parameters.values()],
        return_annotation=signature.return_annotation.removeprefix("Call[").removesuffix("]"),
    )
    return method


class Budget:
    """The functions of schema `budget` as methods: same names, Decimal money, typed results.

    Each call is a short transaction of its own. One that a deadlock undid, or that lost a connection which can be
    replaced, is repeated: that is safe, because every reservation has an id before it is first sent.

    Args:
        source: a conninfo string (one connection, opened when needed and again when lost; close it with `close` or
            a `with` block), a `psycopg.Connection`, or a `psycopg_pool.ConnectionPool`.
        in_transaction: let calls run inside a transaction that is open on the given connection. The decision lock
            then lasts until that transaction ends, and nothing is repeated for you.

    Raises:
        BudgetError: from every call, where the error concerns the budget; else psycopg's own error.
        DatabaseBehind: from the first call, which asks the database for the version of its functions.
    """

    reserve = _method(_sql.reserve)
    reserve_advisory = _method(_sql.reserve_advisory)
    check = _method(_sql.check)
    extend = _method(_sql.extend)
    settle = _method(_sql.settle)
    cancel = _method(_sql.cancel)
    record = _method(_sql.record)
    estimate = _method(_sql.estimate)
    detect_hard_stop = _method(_sql.detect_hard_stop)
    route_work_order = _method(_sql.route_work_order)
    retry_strategy = _method(_sql.retry_strategy)
    escalate = _method(_sql.escalate)
    status = _method(_sql.status)
    version = _method(_sql.version)

    def __init__(self, source: str | Connection | Pool, *, in_transaction: bool = False) -> None:
        if not (isinstance(source, (str, psycopg.Connection)) or hasattr(source, "connection")):
            raise TypeError(f"Budget takes a conninfo string, a Connection or a pool, not {type(source).__name__}")
        if in_transaction and not isinstance(source, psycopg.Connection):
            raise TypeError("in_transaction needs the Connection whose transaction it is")
        self._source = source
        self._in_transaction = in_transaction
        self._own: Connection | None = None
        self._opening = threading.Lock()
        self._version_checked = False

    def __enter__(self) -> Budget:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection that was opened for a conninfo string; others belong to the caller."""
        if self._own is not None:
            self._own.close()

    def _run(self, call: _sql.Call[T]) -> T:
        attempt = 1
        while True:
            connection = None
            try:
                with self._connection() as connection:
                    self._check_version(connection)
                    return self._fetch(connection, call)
            except psycopg.Error as error:
                if attempt < _ATTEMPTS and self._may_repeat(error, connection):
                    attempt += 1
                    continue
                if known := failure(error, call):
                    raise known from error
                raise

    def _may_repeat(self, error: psycopg.Error, connection: Connection | None) -> bool:
        if isinstance(error, (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)):
            return not self._in_transaction
        return connection is not None and connection.closed and not isinstance(self._source, psycopg.Connection)

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        if isinstance(self._source, psycopg.Connection):
            yield self._source
        elif not isinstance(self._source, str):
            with self._source.connection() as connection:
                yield connection
        else:
            with self._opening:
                if self._own is None or self._own.closed:
                    # Prepared statements are off because a transaction pooler may stand in between.
                    self._own = psycopg.connect(self._source, autocommit=True, prepare_threshold=None)
                connection = self._own
            yield connection

    def _check_version(self, connection: Connection) -> None:
        if not self._version_checked:
            try:
                check_version(self._fetch(connection, _sql.version()))
            except (psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName) as error:
                raise behind("no pgbudget") from error
            self._version_checked = True

    def _fetch(self, connection: Connection, call: _sql.Call[T]) -> T:
        with self._transaction(connection), connection.cursor(row_factory=call.row_factory) as cursor:
            # The application may have chosen floats for its own queries; money stays exact.
            cursor.adapters.register_loader("numeric", NumericLoader)
            row = cursor.execute(call.query, call.parameters).fetchone()
        if row is None:
            raise psycopg.errors.NoDataFound(f"budget.{call.function} returned no row")
        return row

    def _transaction(self, connection: Connection) -> AbstractContextManager[object]:
        if self._in_transaction:
            return nullcontext()
        refuse_open_transaction(connection.info.transaction_status)
        return nullcontext() if connection.autocommit else connection.transaction()


def refuse_open_transaction(status: TransactionStatus) -> None:
    """InTransaction when a transaction is open: it would keep the decision lock for as long as it lasts."""
    if status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        raise InTransaction(
            "the connection is inside a transaction, and a lock taken in it would hold up every other caller",
            hint="Commit or roll back first, use a connection of its own, or say in_transaction=True.",
        )


def check_version(found: str) -> None:
    """DatabaseBehind when the functions are older than this driver needs."""
    if tuple(int(part) for part in found.split(".")[:2]) < REQUIRED_VERSION:
        raise behind(f"pgbudget {found}")


def behind(found: str) -> DatabaseBehind:
    """Return the error that says what the database has and what it should have."""
    needed = ".".join(map(str, REQUIRED_VERSION))
    return DatabaseBehind(
        f"the database has {found}; this driver needs {needed} or later", hint="Run `pgbudget migrate`."
    )


def failure(error: psycopg.Error, call: _sql.Call[Any]) -> Exception | None:
    """Return the budget's own error for what psycopg raised, or None to let psycopg's stand."""
    if known := translated(error):
        return known
    if call.function in _POSTING and isinstance(error, psycopg.OperationalError):
        return UndeliveredSettlement(call.function, call.arguments, error)
    return None
