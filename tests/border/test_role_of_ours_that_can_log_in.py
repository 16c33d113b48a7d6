"""A role budget_admin that somebody made beforehand, with a password, is found before it gets anything, and after."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgbudget.plan import plan
from tests.remedies import troubles
from tests.rows import Connection


@pytest.fixture
def open_role(db: Connection) -> Iterator[str]:
    db.execute("ALTER ROLE budget_admin LOGIN CREATEROLE PASSWORD 'known'")
    yield "budget_admin"
    db.execute("ALTER ROLE budget_admin NOLOGIN NOCREATEROLE PASSWORD NULL")


def test_the_plan_names_it(empty_dsn: str, open_role: str) -> None:
    (note,) = [note for note in plan(empty_dsn).notes if "log in" in note.note]
    assert (note.migration, note.kind) == ("0001.pgbudget_schema", "expect")
    assert f"ALTER ROLE {open_role} NOLOGIN PASSWORD NULL" in note.note


def test_doctor_names_it_and_its_mend_ends_it(dsn: str, db: Connection, open_role: str) -> None:
    found = [trouble for trouble in troubles(dsn) if trouble[0] == "roles"]
    assert [(verdict, says.split(": ")[0].split(" that")[0]) for _, verdict, says, _ in found] == [
        ("wrong", f"the role {open_role} can log in"),
        ("wrong", f"the role {open_role} has attributes"),
    ]
    for *_, mend in found:
        assert mend
        db.execute(mend.encode())
    assert troubles(dsn) == []
