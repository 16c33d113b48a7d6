"""How values that others have written are read: none of them raises, however odd, so that it hides no other row.

A caller chooses its metadata, and a direct writer its times: numbers of 5,000 digits, 3,000 nested arrays, the year
20000, infinity. PostgreSQL holds them, and Python does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.rows import class_row
from psycopg.types.datetime import IntervalLoader, TimestamptzLoader
from psycopg.types.numeric import NumericLoader
from psycopg.types.string import TextLoader

if TYPE_CHECKING:
    from typing_extensions import LiteralString, Self

T = TypeVar("T")

_STRINGS, _LONG_NUMBER, _DEEP = re.compile(r'"(?:[^"\\]|\\.)*"'), re.compile(r"\d{1000}"), 100


class Beyond(datetime):
    """An instant that Python cannot hold: the nearest that it can, which prints as the server has it."""

    text = "beyond what Python holds"

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the end of time, or its beginning where the text says so."""
        nearest = datetime.min if text.startswith("-") or text.endswith("BC") else datetime.max
        beyond = cls.combine(nearest.date(), nearest.time(), timezone.utc)
        beyond.text = text
        return beyond

    def __str__(self) -> str:
        return self.text

    def __format__(self, _: str, /) -> str:
        return self.text

    def isoformat(self, *_: object, **__: object) -> str:
        """Return what the server has, whatever the form."""
        return self.text

    def astimezone(self, _: tzinfo | None = None) -> Self:
        """Return itself: a zone would move it out of what Python holds."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Beyond.of, (self.text,)

    def __reduce_ex__(self, _: object, /) -> tuple[Any, ...]:
        return self.__reduce__()


@dataclass(frozen=True)
class JsonText:
    """JSON as the server writes it, not read: whatever is in it."""

    text: str

    @property
    def ascii(self) -> str:
        """The same JSON in printable ASCII; as a string of it where that would be too much for its readers."""
        bare = _STRINGS.sub("", self.text)
        depths = accumulate((bracket in "[{") - (bracket in "]}") for bracket in bare)
        if max(depths, default=0) > _DEEP or _LONG_NUMBER.search(bare):
            return json.dumps(self.text).replace("\x7f", r"\u007f")
        return re.sub(r"[^ -~]", lambda found: _escaped(found[0]), self.text)


def _escaped(character: str) -> str:
    halves = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{halves[n]:02x}{halves[n + 1]:02x}" for n in range(0, len(halves), 2))


class _Timestamptz(TimestamptzLoader):
    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except (psycopg.DataError, OverflowError):
            return Beyond.of(bytes(data).decode())


class _Interval(IntervalLoader):
    def load(self, data: Buffer) -> timedelta:
        try:
            return super().load(data)
        except (psycopg.DataError, OverflowError):
            return timedelta.min if bytes(data).startswith(b"-") else timedelta.max


class _Text(TextLoader):
    """In a database without an encoding (SQL_ASCII) a text may be any bytes, and psycopg gives bytes."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode(self._encoding or "utf-8", "backslashreplace")


class _Json(Loader):
    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        self._encoding = TextLoader(oid, context)._encoding

    def load(self, data: Buffer) -> JsonText:
        return JsonText(bytes(data).decode(self._encoding or "utf-8", "replace"))


_LOADERS: dict[str, type[Loader]] = {
    "numeric": NumericLoader,
    "timestamptz": _Timestamptz,
    "interval": _Interval,
    **dict.fromkeys(("text", "name", "varchar"), _Text),
    **dict.fromkeys(("json", "jsonb"), _Json),
}
"""Money exact, texts as texts, JSON as its text, and instants and lengths of time whatever they are."""


def read(
    connection: psycopg.Connection[Any],
    row: type[T],
    query: LiteralString,
    asked: Sequence[object] | Mapping[str, object] | None = None,
) -> list[T]:
    """Return a query's rows, to be shown: JSON in them is text.

    Raises:
        psycopg.Error: if the database does; never because of what is in a row.
    """
    with connection.cursor(row_factory=class_row(row)) as cursor:
        for type_name, loader in _LOADERS.items():
            cursor.adapters.register_loader(type_name, loader)
        return cursor.execute(query, asked).fetchall()
