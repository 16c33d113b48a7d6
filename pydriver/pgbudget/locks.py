"""Who holds the locks that decisions wait for, who waits behind whom, and how to end it. Asked without waiting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from pgbudget._loading import read

KEY = 8099550711184319860
"""The advisory lock of a decision: "pgbudget" in ASCII."""

TABLES = ("cost_tracking", "escalations", "work_orders", "system_config", "proposer_configs")

PATIENCE = timedelta(seconds=5)
"""How long a decision waits for a lock, at most."""

# Prepared transactions have no process, and hold their locks until somebody ends them. The lock that each holds on its
# own number says which one it is. A role that is no member of pg_read_all_stats sees who and which locks, but no other
# role's state, times and query.
_PARTIES = """
SELECT
    l.pid, coalesce(a.usename, p.owner)::text AS role, coalesce(a.application_name, '') AS application,
    coalesce(a.state, 'prepared transaction ' || p.gid) AS state, coalesce(a.xact_start, p.prepared) AS since,
    array_agg(
        DISTINCT coalesce(c.relname::text, 'decision key') || ': ' || l.mode
        || CASE WHEN l.granted THEN '' ELSE ' (waiting)' END
    ) AS locks,
    CASE WHEN a.query = '<insufficient privilege>' THEN '' ELSE left(coalesce(a.query, ''), 500) END AS query,
    p.gid, a.query = '<insufficient privilege>' AS hidden,
    clock_timestamp() - CASE WHEN a.state LIKE 'idle in transaction%%' THEN a.state_change ELSE p.prepared END AS idle,
    clock_timestamp() - (SELECT min(w.waitstart) FROM pg_catalog.pg_locks AS w WHERE w.pid = l.pid) AS waits,
    CASE WHEN l.pid IS NULL THEN '{}' ELSE pg_catalog.pg_blocking_pids(l.pid) END AS behind,
    bool_or(
        l.granted AND (
            l.locktype = 'advisory'
            OR (
                c.relname = 'cost_tracking'
                AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
            )
        )
    ) AS decides
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation AND c.relnamespace = 'public'::regnamespace
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
LEFT JOIN pg_catalog.pg_locks AS own
    ON l.pid IS NULL AND own.pid IS NULL AND own.virtualtransaction = l.virtualtransaction
    AND own.locktype = 'transactionid'
LEFT JOIN pg_catalog.pg_prepared_xacts AS p ON p.transaction = own.transactionid
WHERE
    l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
    AND (
        c.relname = ANY (%(tables)s)
        OR (
            l.locktype = 'advisory' AND l.objsubid = 1
            AND (l.classid::bigint << 32) + l.objid::bigint = %(key)s
        )
    )
    AND l.pid IS DISTINCT FROM pg_backend_pid()
GROUP BY
    l.pid, a.usename, a.application_name, a.state, a.xact_start, a.query, a.state_change,
    p.owner, p.gid, p.prepared
ORDER BY since, l.pid
"""


@dataclass(frozen=True)
class Session:
    """A transaction that holds locks on the application's tables, or waits for them.

    Attributes: `pid` (None for a prepared transaction), `role`, `application`, `state`, `since`, `locks`, `query`.
    The server hides other roles' times and queries from those who may not see them.
    """

    pid: int | None
    role: str | None
    application: str
    state: str | None
    since: datetime | None
    locks: list[str]
    query: str


@dataclass(frozen=True)
class Party(Session):
    """The same, with what it holds up and waits for.

    Attributes: `gid`, the name of a prepared transaction; `hidden`, whether this role may not see its state, times and
    query; `idle`, for how long it has done nothing; `waits`, for how long it has waited for a lock; `behind`, the
    processes that it waits for (0 is a prepared transaction); `decides`, whether it holds a lock that keeps others
    from deciding.
    """

    gid: str | None
    hidden: bool | None
    idle: timedelta | None
    waits: timedelta | None
    behind: list[int]
    decides: bool

    @property
    def name(self) -> str:
        """Which it is, in words."""
        which = f"process {self.pid}" if self.gid is None else f"prepared transaction {self.gid}"
        return ", ".join(part for part in (which, self.role, self.application) if part)

    @property
    def is_stuck(self) -> bool:
        """Whether it does nothing, and longer than others wait for it."""
        return self.idle is not None and self.idle > PATIENCE

    def end(self, connection: psycopg.Connection[Any]) -> str:
        """Return the statement that ends it. One that works at something loses that alone; an idle one its session."""
        if self.gid is not None:
            return f"ROLLBACK PREPARED {sql.Literal(self.gid).as_string(connection)};"
        function = "pg_cancel_backend" if self.state == "active" else "pg_terminate_backend"
        return f"SELECT {function}({self.pid});"


@dataclass(frozen=True)
class Found:
    """Who keeps others from deciding, the oldest transaction first, and who waits, the longest first."""

    holders: list[Party]
    waiting: list[Party]

    @property
    def stuck(self) -> list[Party]:
        """Return those that hold up others and do nothing, or behind which somebody has waited too long."""
        late = {pid for party in self.waiting if party.waits and party.waits > PATIENCE for pid in party.behind}
        return [party for party in self.holders if party.is_stuck or (party.pid or 0) in late]

    def told(self, holder: Party) -> str:
        """Return what one of them does to the others, in a sentence."""
        seconds = f"has done nothing for {holder.idle.total_seconds():.0f} s" if holder.idle else "works on"
        lock = " holds the decision lock," if holder.decides else ""
        return f"{holder.name}{lock} {seconds} in its transaction, and keeps {len(self.behind(holder))} waiting"

    def behind(self, holder: Party) -> list[Party]:
        """Return who waits for a holder, also behind somebody who does."""
        found, ahead = list[Party](), {holder.pid or 0}
        while more := [one for one in self.waiting if one not in found and ahead & {*one.behind}]:
            found += more
            ahead |= {one.pid or 0 for one in more}
        return found


def sessions(connection: psycopg.Connection[Any], tables: Iterable[str] = TABLES) -> list[Session]:
    """Return who uses the tables now."""
    columns = "SELECT q.pid, q.role, q.application, q.state, q.since, q.locks, q.query FROM ("
    return read(connection, Session, columns + _PARTIES + ") AS q", {"tables": list(tables), "key": None})


def look(connection: psycopg.Connection[Any]) -> Found:
    """Return who holds the locks that decisions wait for, and who waits.

    Raises:
        psycopg.Error: if the database does.
    """
    parties = read(connection, Party, _PARTIES, {"tables": list(TABLES), "key": KEY})
    waiting = [party for party in parties if party.waits is not None]
    blockers = {pid for party in waiting for pid in party.behind}
    return Found(
        [one for one in parties if one.waits is None and (one.decides or (one.pid or 0) in blockers)],
        sorted(waiting, key=lambda party: party.waits or timedelta(0), reverse=True),
    )
