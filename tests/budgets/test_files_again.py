"""Files of both series may run again by psql, in any order, over what is there: every budget stays in force."""

from __future__ import annotations

from pathlib import Path

from pgbudget import doctor, migrations
from pgbudget.embedded import Server
from tests.budgets.standing import set_budget
from tests.migration.support import dump, psql, session
from tests.rows import Connection, call


def files(series: str) -> list[Path]:
    folder = migrations.series_dir(series) / "migrations"
    return [folder / f"{name}.sql" for name in migrations.names(series)]


def refused_by(db: Connection) -> str:
    return str(call(db, "reserve", 1, "svc", {"team": "alpha"}).budget)


def wrong(dsn: str) -> list[tuple[str, str | None]]:
    return [
        (finding.found, finding.mend)
        for check in doctor.examine(dsn)
        for finding in check.findings
        if finding.verdict in ("wrong", "note") and check.name != "server"
    ]


def test_every_budget_stays_in_force(server: Server, dsn: str, db: Connection) -> None:
    set_budget(db, "team", 0, "team")
    migrated = dump(server, dsn)
    for file in [*files("core"), *files("budgets")]:
        psql(server, dsn, file)
        assert refused_by(db) == "team", file.name
    assert dump(server, dsn) == migrated
    assert wrong(dsn) == []


def test_cores_function_in_their_place_is_found_and_mended(server: Server, dsn: str, db: Connection) -> None:
    set_budget(db, "team", 0, "team")
    psql(server, dsn, migrations.series_dir("core") / "functions/_internal/_headroom.sql")
    assert call(db, "reserve", 1, "svc", {"team": "alpha"}).can_proceed, "by the limit of the day alone"
    [(found, mend)] = wrong(dsn)
    assert found == "not as this version has them: budget._headroom"
    assert mend is not None
    assert mend.endswith(': pgbudget sql --series budgets | psql "$DATABASE_URL"')
    psql(server, dsn, *files("budgets"))
    assert refused_by(db) == "team"
    assert wrong(dsn) == []


def test_what_psql_alone_applied_is_whole(server: Server, empty_dsn: str) -> None:
    psql(server, empty_dsn, *files("core"), *files("budgets"))
    with session(empty_dsn) as db:
        set_budget(db, "team", 0, "team")
        assert refused_by(db) == "team"
    assert wrong(empty_dsn) == [
        (
            "applied by other means, and not marked",
            f"It changes nothing, and marks them: pgbudget migrate --series {series}",
        )
        for series in ("core", "budgets")
    ]
