"""docs/postgrest.md: its supabase-js program runs, and its grants are those of the database."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest

from pgbudget import migrations
from pgbudget.embedded import Server
from tests.conftest import Endpoint
from tests.examples.postgrest import ROLES, answer, serving, token
from tests.examples.test_examples import ROOT, output

PAGE = (ROOT / "docs" / "postgrest.md").read_text("utf-8")
PROGRAM = ROOT / "examples" / "node" / "supabase.mjs"
RPC = "/rest/v1/rpc/"
RESERVE = {"p_estimated_cost": 1, "p_service_name": "summaries"}


@pytest.fixture(scope="module")
def roles(server: Server) -> Iterator[None]:
    """What a platform has before anybody migrates."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE ROLE authenticator LOGIN NOINHERIT")
        for role in ROLES:
            connection.execute(f"CREATE ROLE {role}".encode())
            connection.execute(f"GRANT {role} TO authenticator".encode())
        yield
        for role in (*ROLES, "authenticator"):
            connection.execute(f"DROP ROLE {role}".encode())


@pytest.fixture(scope="module")
def platform(server: Server, endpoint: Endpoint, roles: None) -> Iterator[str]:
    """A platform's database after `pgbudget migrate`, with nothing granted by hand."""
    with endpoint.database("platform"):
        migrations.migrate(server.dsn("platform"))
        yield "platform"


@pytest.fixture
def hosted(server: Server, endpoint: Endpoint, platform: str) -> Iterator[str]:
    """A copy of it."""
    with endpoint.database("hosted", platform):
        yield server.dsn("hosted")


def test_the_program_prints_what_the_page_shows(hosted: str, node: None) -> None:
    with serving(hosted) as url:
        printed = output(
            "node",
            PROGRAM,
            SUPABASE_URL=url,
            SUPABASE_SERVICE_ROLE_KEY=token("service_role"),
            SUPABASE_ANON_KEY=token("anon"),
        )
    assert re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) == [printed]


@pytest.mark.parametrize("function", ["public.check_and_reserve_budget", "budget.reserve", "budget.reserve_advisory"])
@pytest.mark.parametrize("role", ROLES)
def test_the_service_role_alone_reserves(hosted: str, role: str, function: str) -> None:
    schema, name = function.split(".")
    status, text = answer(hosted, RPC + name, schema, token(role), RESERVE)
    if role == "service_role":
        [row] = json.loads(text, parse_float=Decimal)
        assert (status, row["can_proceed"], row["current_total"]) == (200, True, 0)
    else:
        assert (status, json.loads(text)["code"]) == (403, "42501")


def test_no_key_reads_or_moves_the_limits(hosted: str) -> None:
    for role in ROLES:
        for name, body in (("set_limits", {"p_limits": {"emergency_kill": 1000}}), ("freeze", {"p_reason": "mine"})):
            status, text = answer(hosted, RPC + name, "budget", token(role), body)
            assert (status, json.loads(text)["code"]) == (403, "42501")


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("settle", {"p_reservation_id": "5f0c7f0a-8e0e-4d0e-9a55-2f6d3f0e6b01", "p_actual_cost": 1}, 400, "PB002"),
        ("reserve", {**RESERVE, "p_estimated_cost": -1}, 400, "22003"),
        ("reserve", {**RESERVE, "p_misspelt": 1}, 404, "PGRST202"),
    ],
)
def test_an_error_carries_its_sqlstate(hosted: str, name: str, body: dict[str, object], status: int, code: str) -> None:
    answered, text = answer(hosted, RPC + name, "budget", token("service_role"), body)
    assert (answered, json.loads(text)["code"]) == (status, code)
