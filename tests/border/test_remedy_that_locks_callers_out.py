"""Doctor's remedies for rights: whoever calls by a right that is taken has another one first, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg.conninfo import make_conninfo

from pgbudget.embedded import Server
from tests.remedies import Connection, caller, follow, pasted, troubles

RESERVE = "budget.reserve(numeric, text, jsonb, uuid, interval)"
ENTRY = "public.check_and_reserve_budget(numeric, text, jsonb)"
ROLES = ('The "App"', "no_heir", "given", "anon")
CALL = "SELECT public.check_and_reserve_budget(0.001, 'svc')"


@pytest.fixture
def roles(db: Connection, app_role: str) -> Iterator[None]:
    named = ['"' + role.replace('"', '""') + '"' for role in ROLES]
    for role in named:
        db.execute(f"CREATE ROLE {role} LOGIN".encode())
    db.execute("ALTER ROLE no_heir NOINHERIT")
    yield
    for role in reversed(named):
        db.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}".encode())


def calls(dsn: str) -> list[tuple[str, str | None]]:
    return [(found, mend) for check, _, found, mend in troubles(dsn) if check == "who may call"]


@pytest.mark.parametrize("role", ['The "App"', "no_heir"])
def test_a_caller_that_keeps_calling(server: Server, dsn: str, db: Connection, roles: None, role: str) -> None:
    """As the takeover leaves it, and with the rights that all functions of the schema were given by hand."""
    name = '"' + role.replace('"', '""') + '"'
    db.execute(
        f"GRANT EXECUTE ON FUNCTION {ENTRY}, {RESERVE} TO {name}; GRANT USAGE ON SCHEMA budget TO {name}".encode()
    )
    db.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA budget TO {name}".encode())
    [(_, mend)] = calls(dsn)
    assert mend
    if role == "no_heir" and db.info.server_version < 160000:
        assert mend.startswith("If it need not: "), "no membership gives it the right to call"
        return
    with caller(dsn, role, CALL):
        follow(server, dsn, pasted(mend) or "")
    assert calls(dsn) == []


def test_a_right_that_another_caller_has_given(server: Server, dsn: str, db: Connection, roles: None) -> None:
    """The owner's REVOKE passes over it without a word; whose it is comes first, for the other's hangs on it."""
    db.execute(f'GRANT EXECUTE ON FUNCTION {ENTRY} TO "The ""App""" WITH GRANT OPTION'.encode())
    db.execute(f'SET ROLE "The ""App"""; GRANT EXECUTE ON FUNCTION {ENTRY} TO given; RESET ROLE'.encode())
    found = calls(dsn)
    assert [each.partition(" may ")[0] for each, _ in found] == ["given", '"The ""App"""']
    with caller(dsn, "given", CALL), caller(dsn, 'The "App"', CALL):
        for _, mend in found:
            follow(server, dsn, pasted(mend or "") or "")
    assert calls(dsn) == []


def test_our_own_role_keeps_what_is_its(server: Server, dsn: str, db: Connection, app_role: str) -> None:
    """Two internal functions that budget_caller was given: the remedy took all functions of the schema from it."""
    db.execute("GRANT EXECUTE ON FUNCTION budget._now(), budget._iso(timestamptz) TO budget_caller")
    [(found, mend)] = calls(dsn)
    assert found == "budget_caller may call budget._now() and 1 more"
    with caller(dsn, app_role, CALL):
        follow(server, dsn, pasted(mend or "") or "")
    assert calls(dsn) == []


def test_nobody_is_made_a_caller_who_is_none(server: Server, dsn: str, db: Connection, roles: None) -> None:
    db.execute(f"GRANT EXECUTE ON FUNCTION {ENTRY} TO anon; GRANT EXECUTE ON FUNCTION budget._now() TO given".encode())
    for _, mend in calls(dsn):
        assert "GRANT" not in (mend or "")
        follow(server, dsn, pasted(mend or "") or "")
    assert calls(dsn) == []
    with pytest.raises(AssertionError, match="42501"), caller(dsn, "anon", CALL):
        pass


def test_without_the_right_to_grant_nothing_is_taken(
    server: Server, dsn: str, db: Connection, roles: None, app_role: str
) -> None:
    """One transaction: where the GRANT fails, the REVOKE behind it does nothing."""
    db.execute(f'GRANT EXECUTE ON FUNCTION {ENTRY} TO "The ""App"""'.encode())
    [(_, mend)] = calls(dsn)
    with caller(dsn, 'The "App"', CALL), pytest.raises(AssertionError):
        follow(server, make_conninfo(dsn, user=app_role), pasted(mend or "") or "")


def test_a_table_right_that_another_role_has_given(server: Server, dsn: str, db: Connection, roles: None) -> None:
    db.execute('GRANT UPDATE ON public.system_config TO "The ""App""" WITH GRANT OPTION')
    db.execute('SET ROLE "The ""App"""; GRANT UPDATE ON public.system_config TO given; RESET ROLE')
    db.execute("GRANT UPDATE (cost), INSERT (cost) ON public.cost_tracking TO given")
    found = [(what, mend) for check, _, what, mend in troubles(dsn) if check == "who else may write the tables"]
    assert [what for what, _ in found] == [
        "given may UPDATE public.system_config",
        "given may INSERT (cost), UPDATE (cost) public.cost_tracking",
        '"The ""App""" may UPDATE public.system_config',
    ]
    for _, mend in found:
        follow(server, dsn, pasted(mend or "") or "")
    assert [trouble for trouble in troubles(dsn) if trouble[0] == "who else may write the tables"] == []
