"""Where the application's own code keeps the ledger from keeping a row, the call is an error and leaves nothing.

A ledger that is partitioned the old way, with child tables and a BEFORE INSERT trigger that returns NULL, had 100 holds
of one call; with a trigger that only swallows, the call ended when the stack was full.
"""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest

import pgbudget
from pgbudget.plan import plan
from tests import chain
from tests.migration.support import session
from tests.remedies import troubles
from tests.rows import Connection, call, fails, ledger, ledger_size, one, reserve, rows

SWALLOWS = "RETURN NULL;"
MOVES = {
    "another row": SWALLOWS,
    "cost": "NEW.cost := round(NEW.cost, 2); RETURN NEW;",
    "created_at": "NEW.created_at := date_trunc('hour', NEW.created_at); RETURN NEW;",
    "id": "NEW.id := gen_random_uuid(); RETURN NEW;",
    "service": "NEW.service_name := upper(NEW.service_name); RETURN NEW;",
    "what was asked": 'NEW.metadata := NEW.metadata || \'{"original_metadata": {"team": "b"}}\'; RETURN NEW;',
}
COST = "1.23456"


def trigger(db: Connection, events: str, body: str) -> None:
    """As the application has it: named so that it comes after ours."""
    db.execute(f"CREATE FUNCTION public.mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$".encode())
    db.execute(
        f"CREATE TRIGGER zealous BEFORE {events} ON public.cost_tracking FOR EACH ROW EXECUTE FUNCTION mine()".encode()
    )


def partitioned(db: Connection) -> None:
    db.execute("CREATE TABLE public.cost_tracking_2031 (CHECK (created_at > '2020-01-01')) INHERITS (cost_tracking)")
    trigger(db, "INSERT", "INSERT INTO public.cost_tracking_2031 SELECT NEW.*; RETURN NULL;")


@pytest.mark.parametrize("given", [None, UUID(int=7)])
@pytest.mark.parametrize("function", ["reserve", "reserve_advisory", "record"])
def test_a_ledger_that_is_partitioned_the_old_way(dsn: str, db: Connection, function: str, given: UUID | None) -> None:
    partitioned(db)
    named = {"p_id" if function == "record" else "p_reservation_id": given}
    diag = fails(db, "PB006", function, 1, "svc", **named)
    assert "Kept: nothing. The triggers of the application on public.cost_tracking: zealous." in diag.message_detail
    assert ledger_size(db) == 0
    assert one(db, "SELECT count(*) FROM public.escalations").count == 0
    wrong = [found for _, verdict, found, _ in troubles(dsn) if verdict == "wrong"]
    assert any("has child tables" in found and "cost_tracking_2031" in found for found in wrong)


@pytest.mark.parametrize("given", [None, UUID(int=7)])
@pytest.mark.parametrize("function", ["reserve", "reserve_advisory", "record"])
@pytest.mark.parametrize("body", MOVES.values(), ids=list(MOVES))
def test_an_insert_that_is_not_kept(db: Connection, function: str, body: str, given: UUID | None) -> None:
    trigger(db, "INSERT", body)
    fails(db, "PB006", function, COST, "svc", **{"p_id" if function == "record" else "p_reservation_id": given})
    assert ledger_size(db) == 0


@pytest.mark.parametrize("body", [SWALLOWS, MOVES["cost"], MOVES["created_at"]], ids=["swallowed", "rounded", "moved"])
@pytest.mark.parametrize(
    ("function", "arguments"),
    [("settle", ["0.98765"]), ("cancel", []), ("extend", ["2.34567"])],
)
def test_an_update_that_is_not_kept(db: Connection, function: str, arguments: list[str], body: str) -> None:
    hold = reserve(db, COST)
    before = ledger(db, hold)
    trigger(db, "UPDATE", body)
    if (function, body) == ("cancel", MOVES["cost"]):
        assert call(db, function, hold).status == "cancelled"  # nothing is nothing, however it is rounded
        return
    fails(db, "PB006", function, hold, *arguments)
    assert ledger(db, hold) == before


@pytest.mark.parametrize("on_expiry", ["release", "keep"])
@pytest.mark.parametrize(
    "body", [SWALLOWS, "NEW.cost := 0.1; RETURN NEW;", MOVES["id"]], ids=["swallowed", "changed", "moved"]
)
def test_a_lapsed_hold_that_cannot_be_marked(db: Connection, body: str, on_expiry: str) -> None:
    call(db, "set_limits", psycopg.types.json.Jsonb({"on_expiry": on_expiry}))
    holds = [reserve(db, COST, p_ttl="1 microsecond") for _ in range(2)]
    before = [ledger(db, hold) for hold in holds]
    trigger(db, "UPDATE", body)
    fails(db, "PB006", "expire")
    assert [ledger(db, hold) for hold in holds] == before
    db.execute("DROP FUNCTION public.mine() CASCADE")
    assert call(db, "expire").expired == 2


def test_a_work_order_whose_earlier_hold_cannot_be_cancelled(db: Connection) -> None:
    order = one(db, "INSERT INTO public.work_orders (title, description) VALUES ('a', 'b') RETURNING id").id
    db.execute(
        """INSERT INTO public.proposer_configs (name, model, provider, complexity_threshold, cost_profile)
           VALUES ('a', 'b', 'c', 1, '{}')"""
    )
    route = ("SELECT budget.route_work_order(%s, 'do it', '{}', 0.2, true) AS answer", [order])
    assert db.execute(*route).fetchone()[0]["success"]  # type: ignore[index]
    before = rows(db, "SELECT * FROM public.cost_tracking")
    assert len(before) == 1
    trigger(db, "UPDATE", SWALLOWS)
    with pytest.raises(psycopg.Error) as caught:
        db.execute(*route)
    assert caught.value.sqlstate == "PB006"
    assert rows(db, "SELECT * FROM public.cost_tracking") == before


def test_an_id_that_is_taken_is_a_repeat_all_the_same(db: Connection) -> None:
    hold, spent = reserve(db, 1, p_reservation_id=uuid4()), uuid4()
    call(db, "record", 1, "svc", p_id=spent)
    trigger(db, "INSERT", SWALLOWS)
    assert call(db, "reserve", 1, "test", p_reservation_id=hold).reason == "replayed"
    assert call(db, "record", 1, "svc", p_id=spent).reservation_id == spent


def test_keys_of_the_application_s_own_are_no_hindrance(db: Connection) -> None:
    trigger(db, "INSERT OR UPDATE", """NEW.metadata := NEW.metadata || '{"region": "eu"}'; RETURN NEW;""")
    hold = reserve(db, COST)
    assert call(db, "extend", hold, 2).can_proceed
    assert call(db, "settle", hold, 1).status == "actual"
    assert ledger(db, hold).metadata["region"] == "eu"
    assert call(db, "record", 1, "svc").status == "actual"


@pytest.mark.parametrize("event", ["INSERT", "UPDATE"])
def test_a_rule_is_an_error_too_and_the_doctor_finds_it(dsn: str, db: Connection, event: str) -> None:
    """The server itself refuses, before anything is written: INSERT with ON CONFLICT stands no rule."""
    hold = reserve(db, 1)
    db.execute(f"CREATE RULE mine AS ON {event} TO public.cost_tracking DO INSTEAD NOTHING".encode())
    for call_, arguments in (
        ("reserve", (1, "svc")),
        ("record", (1, "svc")),
        ("settle", (hold, 1)),
        ("cancel", (hold,)),
    ):
        if event == "UPDATE" or call_ in ("reserve", "record"):
            with pytest.raises(psycopg.errors.FeatureNotSupported):
                call(db, call_, *arguments)
    assert ledger_size(db) == 1
    ((found, mend),) = [(found, mend) for _, verdict, found, mend in troubles(dsn) if "rules on" in found]
    assert "mine" in found
    db.execute((mend or "").encode())
    assert call(db, "settle", hold, 1).status == "actual"


def test_the_driver_has_a_class_for_it(dsn: str, db: Connection) -> None:
    trigger(db, "INSERT", SWALLOWS)
    with pgbudget.Budget(dsn) as budget, pytest.raises(pgbudget.LedgerNotKept) as caught:
        budget.reserve(1, "svc")
    assert caught.value.sqlstate == "PB006"
    assert "zealous" in (caught.value.detail or "")


def test_the_doctor_names_the_triggers(dsn: str, db: Connection) -> None:
    trigger(db, "INSERT OR UPDATE", "RETURN NEW;")
    assert [(verdict, "zealous" in found) for _, verdict, found, _ in troubles(dsn)] == [("note", True)]


def test_the_plan_stops_at_children_and_rules_and_names_the_triggers(empty_dsn: str) -> None:
    with session(empty_dsn) as db:
        db.execute(
            """CREATE TABLE public.cost_tracking (
                   id uuid PRIMARY KEY, service_name text NOT NULL, cost numeric NOT NULL, metadata jsonb,
                   created_at timestamptz DEFAULT now()
               )"""
        )
        partitioned(db)
        db.execute("CREATE RULE mine AS ON UPDATE TO public.cost_tracking DO INSTEAD NOTHING")
        found = plan(empty_dsn)
        assert [stop.note for stop in found.stops] == [
            "public.cost_tracking is a parent, of public.cost_tracking_2031",
            "public.cost_tracking is rewritten by the rule mine",
        ]
        assert next(note.note for note in found.notes if "PB006" in note.note).endswith("and these may: zealous")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            chain.migrate(empty_dsn)


def test_a_batch_is_kept_or_not_done(empty_dsn: str) -> None:
    chain.load(empty_dsn, "budgets")
    with session(empty_dsn) as db:
        batch = [{"estimated_cost": COST, "service_name": "svc"}] * 3
        holds = [
            row.reservation_id
            for row in rows(db, "SELECT * FROM budget.reserve_many(%s)", psycopg.types.json.Jsonb(batch))
        ]
        settlements = psycopg.types.json.Jsonb(
            [{"reservation_id": str(hold), "actual_cost": "0.98765"} for hold in holds]
        )
        for body in (SWALLOWS, MOVES["cost"]):
            trigger(db, "INSERT OR UPDATE", body)
            fails(db, "PB006", "reserve_many", psycopg.types.json.Jsonb(batch))
            fails(db, "PB006", "settle_many", settlements)
            assert [ledger(db, hold).type for hold in holds] == ["reservation"] * 3
            assert ledger_size(db) == 3
            db.execute("DROP FUNCTION public.mine() CASCADE")
