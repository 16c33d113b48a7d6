"""The log of past calls: a CSV file, read and checked line by line."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import ROUND_CEILING, Decimal, InvalidOperation, localcontext

COLUMNS = (
    "time",
    "service",
    "estimate",
    "actual",
    "proposer",
    "input_tokens",
    "output_tokens",
    "max_output_tokens",
    "complexity_score",
    "hard_stop_required",
    "duration_s",
    "ended",
)

_MOST_MONEY = Decimal(10) ** 15
_MOST_TOKENS = 2**63
_YES, _NO = ("true", "t", "yes", "1"), ("false", "f", "no", "0", "")


class LogError(ValueError):
    """The log cannot be replayed as it stands; the message names the line."""


@dataclass(frozen=True)
class Call:
    """A call of the log. Money is as the budget's functions book it: at most 12 decimals, rounded up."""

    line: int
    """Where it stands in the file, the header being line 1."""
    at: datetime
    ended_at: datetime
    service: str
    logged: Decimal | None
    """The estimate that the log has."""
    actual: Decimal | None
    """What it cost; None where tokens tell, or where it failed and cost nothing."""
    proposer: str | None
    input_tokens: int | None
    output_tokens: int | None
    max_output_tokens: int | None
    complexity_score: Decimal | None
    hard_stop_required: bool


@dataclass(frozen=True)
class Log:
    """All calls of a file."""

    calls: list[Call]
    ignored: list[str]
    """Columns that mean nothing here: perhaps misspelt."""


@dataclass(frozen=True)
class Defaults:
    """What holds for calls whose line does not say."""

    duration: timedelta
    max_output_tokens: int | None = None
    priced: frozenset[str] = frozenset()
    """Proposers whose prices are known."""


def read_log(lines: Iterable[str], defaults: Defaults) -> Log:
    """Read a log.

    Args:
        lines: the file's lines, the header first.
        defaults: for what a line leaves out.

    Raises:
        LogError: at the first line that cannot be understood.
    """
    rows = _rows(lines)
    try:
        line, header = next(rows)
    except StopIteration:
        raise LogError("line 1: the file is empty; it begins with the names of its columns") from None
    columns = [name.strip().lower() for name in header]
    _check_columns(line, columns)
    calls = []
    for line, row in rows:
        if len(row) != len(columns):
            raise LogError(f"line {line}: {len(row)} values for {len(columns)} columns")
        try:
            fields = {name: text.strip() for name, text in zip(columns, row, strict=True)}
            calls.append(_call(line, fields, defaults))
        except _FaultError as fault:
            raise LogError(f"line {line}: {fault}") from None
    if not calls:
        raise LogError(f"line {line}: no call follows the names of the columns")
    return Log(calls, sorted({name for name in columns if name not in COLUMNS}))


class _FaultError(Exception):
    """What is wrong with a line."""


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not empty with the number of the line that it begins on."""
    reader = csv.reader(lines, strict=True)
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise LogError(f"line {line}: {error}") from None
    except UnicodeDecodeError:
        raise LogError(f"line {line} or soon after: the file is not UTF-8 text") from None


def _check_columns(line: int, columns: list[str]) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise LogError(f"line {line}: the column {twice[0]!r} is there twice")
    missing = [name for name in ("time", "service") if name not in columns]
    if missing:
        raise LogError(f"line {line}: there is no column {missing[0]!r}; the columns are {', '.join(columns)}")
    if "actual" not in columns and not {"proposer", "input_tokens", "output_tokens"} <= set(columns):
        raise LogError(
            f"line {line}: what a call cost is in a column 'actual', or in 'proposer', 'input_tokens', 'output_tokens'"
        )
    if {"duration_s", "ended"} <= set(columns):
        raise LogError(f"line {line}: the columns 'duration_s' and 'ended' say the same; keep one")


def _call(line: int, fields: Mapping[str, str], defaults: Defaults) -> Call:
    at = _time(fields, "time")
    if at is None:
        raise _FaultError("there is no time")
    service = fields["service"]
    if not 1 <= len(service) <= 200:  # noqa: PLR2004 - as the functions have it
        raise _FaultError("a service's name has 1 to 200 characters")
    proposer = fields.get("proposer") or None
    tokens = {name: _tokens(fields, name) for name in ("input_tokens", "output_tokens", "max_output_tokens")}
    if tokens["max_output_tokens"] is None:
        tokens["max_output_tokens"] = defaults.max_output_tokens
    if tokens["input_tokens"] is not None or tokens["output_tokens"] is not None:
        if proposer is None:
            raise _FaultError("tokens have no price without a proposer")
        if tokens["input_tokens"] is None:
            raise _FaultError("there are no input_tokens")
        if proposer not in defaults.priced:
            raise _FaultError(f"the proposer {proposer!r} has no price; give --price '{proposer}=IN,OUT', per token")
    return Call(
        line=line,
        at=at,
        ended_at=_end(at, fields, defaults.duration),
        service=service,
        logged=_money(fields, "estimate"),
        actual=_money(fields, "actual"),
        proposer=proposer,
        complexity_score=_number(fields, "complexity_score"),
        hard_stop_required=_flag(fields, "hard_stop_required"),
        **tokens,
    )


def _end(at: datetime, fields: Mapping[str, str], usual: timedelta) -> datetime:
    ended = _time(fields, "ended")
    if ended is None:
        seconds = _number(fields, "duration_s")
        try:
            ended = at + (usual if seconds is None else timedelta(seconds=float(seconds)))
        except OverflowError:
            raise _FaultError(f"duration_s {fields['duration_s']!r} is too long") from None
    if ended < at:
        raise _FaultError("it ended before it began")
    return ended


def _time(fields: Mapping[str, str], name: str) -> datetime | None:
    text = fields.get(name)
    if not text:
        return None
    try:
        # Python 3.10 does not know the Z.
        at = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1] in "Zz" else text)
        return (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise _FaultError(f"{name} {text!r} is not a time, such as 2025-10-03T09:30:00Z") from None


def _number(fields: Mapping[str, str], name: str) -> Decimal | None:
    text = fields.get(name)
    if not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise _FaultError(f"{name} {text!r} is not a number")
    return number


def _money(fields: Mapping[str, str], name: str) -> Decimal | None:
    amount = _number(fields, name)
    if amount is None:
        return None
    if not 0 <= amount < _MOST_MONEY:
        raise _FaultError(f"{name} {fields[name]!r} is not an amount from 0 to below 1e15")
    if amount == round(amount, 12):
        return amount
    with localcontext() as context:
        context.prec = 40
        return amount.quantize(Decimal("1e-12"), rounding=ROUND_CEILING)


def _tokens(fields: Mapping[str, str], name: str) -> int | None:
    number = _number(fields, name)
    if number is None:
        return None
    if not 0 <= number < _MOST_TOKENS or number != number.to_integral_value():
        raise _FaultError(f"{name} {fields[name]!r} is not a number of tokens")
    return int(number)


def _flag(fields: Mapping[str, str], name: str) -> bool:
    text = fields.get(name, "").lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise _FaultError(f"{name} {fields[name]!r} is neither true nor false")
