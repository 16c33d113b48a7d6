"""Connection strings as libpq has them. They hold passwords, and libpq quotes what it cannot read."""

from __future__ import annotations

import re

import psycopg
from psycopg.conninfo import conninfo_to_dict

_URI, _QUOTE = re.compile(r"postgres(?:ql)?://(?P<rest>.*)", re.DOTALL), re.compile("[\"'«»„“”‚‘’「」『』]")  # noqa: RUF001
_ESCAPES = "an @ in a user's name or password is written %40, a / %2F, a : %3A, a % %25"


def readable(dsn: str) -> str:
    """Return the connection string as it is.

    Raises:
        psycopg.ProgrammingError: where libpq cannot read it, or would take a part of its password for something else.
            Nothing of the string is in that error, nor in one that it comes from.
    """
    trouble = _trouble(dsn)
    if trouble:
        raise psycopg.ProgrammingError(trouble)
    return dsn


def _trouble(dsn: str) -> str | None:
    try:
        conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        what = _QUOTE.split(str(error))[0].strip(" :\n")
        what = what if " " in what else "it is not as libpq has it"
        return (
            f"the connection string cannot be read: {what} (the rest is not shown, it may be part of a password)\n"
            f"It is postgresql://USER:PASSWORD@HOST:PORT/DATABASE, in which {_ESCAPES}; or host=... dbname=..., "
            "with quotes around a value that has spaces."
        )
    authority, _slash, path = (_URI.match(dsn) or {"rest": ""})["rest"].partition("/")
    if authority.count("@") > 1 or "@" in path.partition("?")[0]:
        # libpq would take part of the password for a host, and name it as one that it cannot find.
        return f"the connection string has an @ too many: {_ESCAPES}"
    return None
