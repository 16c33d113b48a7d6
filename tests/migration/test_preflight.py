"""Shapes that cannot be taken over stop the migration with a message that says what, where and what to do."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from pgbudget.embedded import Server
from pgbudget.errors import BudgetError
from tests import chain, pgtap
from tests.conftest import Endpoint
from tests.migration.support import APPLICATION, CHAIN, Connection, found, one, psql, session

USED = {
    "cost_tracking": ["id", "service_name", "cost", "metadata", "created_at"],
    "escalations": [
        *("id", "work_order_id", "trigger_type", "context", "status", "resolved_at", "created_at", "updated_at"),
    ],
    "work_orders": ["id", "metadata", "updated_at"],
    "system_config": ["key", "value", "description", "updated_at"],
    "proposer_configs": ["name", "complexity_threshold", "cost_profile", "active", "created_at"],
}

# What is done to the ledger or another table, and what is then found in which of its columns.
LEDGER = "ALTER TABLE cost_tracking "
NO_KEY = LEDGER + "DROP CONSTRAINT cost_tracking_pkey"
WRONG_COLUMNS = [
    (LEDGER + "ALTER cost TYPE float8", "cost", "of type double precision"),
    ("CREATE DOMAIN usd AS numeric; " + LEDGER + "ALTER cost TYPE usd", "cost", "of type public.usd"),
    (LEDGER + "ALTER cost DROP NOT NULL", "cost", "without NOT NULL"),
    (LEDGER + "ALTER created_at DROP DEFAULT, ALTER created_at TYPE text", "created_at", "of type text"),
    (LEDGER + "ALTER created_at TYPE timestamp", "created_at", "of type timestamp without time zone"),
    (LEDGER + "ALTER metadata TYPE json", "metadata", "of type json"),
    (LEDGER + "ALTER service_name TYPE varchar(99)", "service_name", "of type character varying"),
    (LEDGER + "ALTER id DROP DEFAULT, ALTER id TYPE text", "id", "of type text"),
    (NO_KEY, "id", "without a unique key"),
    (NO_KEY + ", ADD UNIQUE (id, region)", "id", "without a unique key"),
    (NO_KEY + ", ADD UNIQUE (id) DEFERRABLE", "id", "without a unique key"),
    (NO_KEY + "; CREATE UNIQUE INDEX ON cost_tracking (id) WHERE cost > 0", "id", "without a unique key"),
    (LEDGER + "ADD expires_at timestamptz", "expires_at", "of the application, of type timestamp with time zone"),
    (LEDGER + "ADD expires_at text", "expires_at", "of the application, of type text"),
    (LEDGER + "ADD tenant int NOT NULL DEFAULT 1; " + LEDGER + "ALTER tenant DROP DEFAULT", "tenant", "NOT NULL, but"),
    ("ALTER TABLE escalations ADD reason jsonb", "escalations.reason", "of type jsonb"),
    ("ALTER TABLE escalations ALTER work_order_id SET NOT NULL", "escalations.work_order_id", "NOT NULL, but"),
    ("ALTER TABLE system_config ALTER value TYPE jsonb USING to_jsonb(value)", "system_config.value", "of type jsonb"),
    ("ALTER TABLE system_config DROP CONSTRAINT system_config_pkey", "system_config.key", "without a unique key"),
]

# What stands in the ledger's place. On a partitioned table no index can be built concurrently, and its key would have
# to hold the column that it is partitioned by.
IN_ITS_PLACE = {
    "a view": "CREATE VIEW cost_tracking AS SELECT * FROM ledger",
    "a materialized view": "CREATE MATERIALIZED VIEW cost_tracking AS SELECT * FROM ledger",
    "a partitioned table": "CREATE TABLE cost_tracking (LIKE ledger) PARTITION BY RANGE (created_at)",
    "a foreign table": """CREATE FOREIGN DATA WRAPPER far; CREATE SERVER far FOREIGN DATA WRAPPER far;
                          CREATE FOREIGN TABLE cost_tracking (id uuid) SERVER far""",
    "no table": "CREATE SEQUENCE cost_tracking",
    "an unlogged table": "CREATE UNLOGGED TABLE cost_tracking (LIKE ledger INCLUDING ALL)",
}

# What depends on the cost, and how the server describes it.
DEPENDENTS = [
    ("VIEW dear AS SELECT * FROM cost_tracking WHERE cost > 1", "rule _RETURN on view public.dear"),
    ("RULE dear AS ON DELETE TO cost_tracking WHERE old.cost > 1 DO INSTEAD NOTHING", "rule dear on table"),
    (
        "TRIGGER dear BEFORE UPDATE OF cost ON cost_tracking EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "trigger dear on table",
    ),
    ("POLICY dear ON cost_tracking USING (cost > 1)", "policy dear on table"),
    ("PUBLICATION dear FOR TABLE cost_tracking WHERE (cost > 1)", "publication of table"),
    (
        "FUNCTION dear() RETURNS numeric LANGUAGE sql BEGIN ATOMIC SELECT max(cost) FROM public.cost_tracking; END",
        "function public.dear()",
    ),
    (
        "SCHEMA generated; ALTER TABLE cost_tracking ADD dear boolean GENERATED ALWAYS AS (cost > 1) STORED",
        "default value for column dear of table",
    ),
]

WIDE = LEDGER + "ALTER cost TYPE numeric; "
UPDATE = "UPDATE cost_tracking SET "
ID = "00000000-0000-0000-0000-0000000000"
ROWS = [
    (UPDATE + "cost = -cost WHERE cost BETWEEN 3 AND 5", "cost", f"negative (rows: 3, for example id {ID}c6)"),
    (UPDATE + "cost = 'NaN' WHERE cost = 5", "cost", f"no amount below 1e15 (rows: 1, for example id {ID}d1)"),
    (
        WIDE + UPDATE + "cost = '-Infinity' WHERE cost = 5",
        "cost",
        f"no amount below 1e15 (rows: 1, for example id {ID}d1)",
    ),
    (WIDE + UPDATE + "cost = 1e15 WHERE cost >= 5", "cost", f"no amount below 1e15 (rows: 3, for example id {ID}c4)"),
    (UPDATE + "created_at = NULL WHERE cost < 1", "created_at", f"NULL (rows: 2, for example id {ID}c2)"),
]

HARMLESS = """
CREATE INDEX ON cost_tracking (cost) WHERE cost > 1;
CREATE STATISTICS dear ON (cost + 1) FROM cost_tracking;
ALTER TABLE cost_tracking ALTER cost SET DEFAULT 0, ADD CHECK (cost >= 0), ADD EXCLUDE (cost WITH =) WHERE (cost > 1e5);
ALTER TABLE cost_tracking ADD note text NOT NULL DEFAULT '', ADD n bigint GENERATED ALWAYS AS IDENTITY;
CREATE VIEW calls AS SELECT service_name, count(*) FROM cost_tracking GROUP BY 1;
CREATE FUNCTION dear() RETURNS numeric LANGUAGE sql AS 'SELECT max(cost) FROM public.cost_tracking';
CREATE TRIGGER dear BEFORE UPDATE ON cost_tracking FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE cost_tracking ENABLE ROW LEVEL SECURITY;
ALTER TABLE escalations ADD reason text;
"""


@pytest.fixture(scope="module")
def shaped_dsn(server: Server, endpoint: Endpoint, application_roles: None) -> Iterator[str]:
    """The application's database with the first migration alone, which brings the check itself."""
    with endpoint.database("shaped"):
        dsn = server.dsn("shaped")
        psql(server, dsn, APPLICATION, CHAIN[0])
        yield dsn


@pytest.fixture
def db(shaped_dsn: str) -> Iterator[Connection]:
    """A transaction that is undone."""
    with psycopg.connect(shaped_dsn) as connection:
        yield connection
        connection.rollback()


def findings(db: Connection) -> list[tuple[str, str]]:
    """What the check finds: table or table.column, and what is wrong. Every finding comes with a remedy."""
    query = "SELECT concat_ws('.', table_name, column_name), found, remedy FROM budget._preflight()"
    result = db.execute(query).fetchall()
    assert all(remedy for _, _, remedy in result)
    return [(place, what) for place, what, _ in result]


def only_finding(db: Connection) -> tuple[str, str]:
    (finding,) = findings(db)
    return finding


def test_what_can_be_taken_over_has_no_finding(db: Connection) -> None:
    assert findings(db) == []
    db.execute(HARMLESS.encode())
    assert findings(db) == []


def test_asking_reads_only(db: Connection) -> None:
    db.execute("SET TRANSACTION READ ONLY")
    assert findings(db) == []


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table, columns in USED.items() for column in columns]
)
def test_a_missing_column_is_found(db: Connection, table: str, column: str) -> None:
    db.execute(f"ALTER TABLE {table} DROP COLUMN {column} CASCADE".encode())
    assert findings(db) == [(f"{table}.{column}", "missing")]


@pytest.mark.parametrize(("change", "place", "what"), WRONG_COLUMNS)
def test_a_wrong_column_is_found(db: Connection, change: str, place: str, what: str) -> None:
    db.execute(change.encode())
    place_found, what_found = only_finding(db)
    assert place_found == (place if "." in place else f"cost_tracking.{place}")
    assert what_found.startswith(what)


@pytest.mark.parametrize(("what", "made"), IN_ITS_PLACE.items(), ids=list(IN_ITS_PLACE))
def test_what_is_no_lasting_table_is_found(db: Connection, what: str, made: str) -> None:
    db.execute("ALTER TABLE cost_tracking RENAME TO ledger")
    db.execute(made.encode())
    assert only_finding(db) == ("cost_tracking", what)


@pytest.mark.parametrize(("made", "what"), DEPENDENTS, ids=[made.split()[0].lower() for made, _ in DEPENDENTS])
def test_what_forbids_the_widening_is_found(db: Connection, made: str, what: str) -> None:
    db.execute(f"CREATE {made}".encode())
    place, what_found = only_finding(db)
    assert place == "cost_tracking.cost"
    assert what_found.startswith(f"used by {what}")
    pgtap.throws_ok(db, "ALTER TABLE cost_tracking ALTER cost TYPE numeric", None, "0A000")


def test_what_depends_on_a_wide_cost_is_no_hindrance(db: Connection) -> None:
    db.execute("ALTER TABLE cost_tracking ALTER cost TYPE numeric")
    db.execute(f"CREATE {DEPENDENTS[0][0]}".encode())
    assert findings(db) == []


@pytest.mark.parametrize(("change", "column", "what"), ROWS)
def test_rows_that_break_a_rule_are_counted_and_one_is_named(
    db: Connection, change: str, column: str, what: str
) -> None:
    db.execute(change.encode())
    assert only_finding(db) == (f"cost_tracking.{column}", what)


def test_negative_rows_and_nothing_else_can_be_accepted(db: Connection) -> None:
    db.execute("SET LOCAL pgbudget.accept_negative = on")
    db.execute(ROWS[0][0].encode())
    assert findings(db) == []
    db.execute(ROWS[2][0].encode())
    db.execute("UPDATE cost_tracking SET cost = '-Infinity' WHERE cost = -5")
    assert only_finding(db)[1].startswith("no amount below 1e15")


def test_another_owner_is_found(db: Connection) -> None:
    db.execute("GRANT USAGE ON SCHEMA budget TO app_writer")
    db.execute("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA budget TO app_writer")
    db.execute("SET LOCAL ROLE app_writer")
    assert sorted(findings(db)) == [(table, "owned by postgres") for table in sorted(USED)]


# ----------------------------------------------------------------------------------------------------- the whole chain

BROKEN = """
ALTER TABLE cost_tracking DROP CONSTRAINT cost_tracking_pkey;
ALTER TABLE cost_tracking ALTER cost DROP NOT NULL;
ALTER TABLE system_config DROP COLUMN description;
ALTER TABLE escalations ALTER work_order_id SET NOT NULL;
"""


def test_the_migration_stops_before_it_changes_anything(server: Server, application_dsn: str) -> None:
    with session(application_dsn) as db:
        db.execute(BROKEN.encode())
        as_found = found(server, application_dsn)

        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as caught:
            chain.migrate(application_dsn)
        diag = caught.value.diag
        assert diag.message_primary == (
            "the application's tables cannot be taken over as they are: public.cost_tracking.cost is without NOT NULL, "
            "so that spend could be written without an amount, and 3 more"
        )
        assert diag.message_detail is not None
        assert [line.split(" is ")[0] for line in diag.message_detail.splitlines()] == [
            "1. public.cost_tracking.cost",
            "2. public.cost_tracking.id",
            "3. public.escalations.work_order_id",
            "4. public.system_config.description",
        ]
        assert diag.message_hint is not None
        _, *remedies = diag.message_hint.splitlines()
        assert len(remedies) == 4
        with pytest.raises(AssertionError, match="cannot be taken over"):
            psql(server, application_dsn, CHAIN[1])
        assert chain.rollback(application_dsn, all=True) == ["0001.pgbudget_schema"]
        assert found(server, application_dsn) == as_found

        for remedy in remedies:
            db.execute(remedy.partition(". ")[2].partition(", or")[0].encode())
        mended = found(server, application_dsn)
        chain.migrate(application_dsn)
        chain.rollback(application_dsn, all=True)
        assert found(server, application_dsn) == mended


def test_what_is_harmless_is_taken_over(server: Server, application_dsn: str) -> None:
    with session(application_dsn) as db:
        db.execute(HARMLESS.encode())
        as_found = found(server, application_dsn)
        chain.migrate(application_dsn)
        assert one(db, "SELECT can_proceed FROM check_and_reserve_budget(1.23456, 'a')") is True
        db.execute("DELETE FROM cost_tracking WHERE service_name = 'a'")
    chain.rollback(application_dsn, all=True)
    assert found(server, application_dsn) == as_found


def test_negative_rows_stop_the_migration_unless_accepted(application_dsn: str) -> None:
    with session(application_dsn) as db:
        db.execute(ROWS[0][0].encode())
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match=r"cost is negative \(rows: 3,"):
            chain.migrate(application_dsn)
        chain.migrate(f"{application_dsn}&options=-c%20pgbudget.accept_negative%3Don")
        valid = dict(
            db.execute(
                "SELECT conname, convalidated FROM pg_constraint"
                " WHERE conname LIKE 'budget%' AND conrelid = 'public.cost_tracking'::regclass"
            ).fetchall()
        )
        assert valid == {
            "budget_cost_in_range": False,
            "budget_created_at_present": True,
            "budget_expiry_of_hold": True,
        }
        with pytest.raises(psycopg.errors.CheckViolation):
            db.execute("INSERT INTO cost_tracking (cost, service_name) VALUES (-1, 'new')")
        notices: list[str] = []
        db.add_notice_handler(lambda diag: notices.append(diag.message_primary or ""))
        db.execute(CHAIN[4].read_bytes())
        assert notices == [
            "negative rows of public.cost_tracking stay as they are: budget_cost_in_range holds for new rows alone"
        ]


@pytest.mark.parametrize(
    "schema", ["CREATE SCHEMA budget", "CREATE SCHEMA budget; CREATE TABLE budget.plan (year int)"]
)
def test_another_schema_of_this_name_stops_the_migration(server: Server, application_dsn: str, schema: str) -> None:
    with session(application_dsn) as db:
        db.execute(schema.encode())
        db.execute("COMMENT ON SCHEMA budget IS 'Our plans.'")
    as_found = found(server, application_dsn)
    with pytest.raises(
        psycopg.errors.ObjectNotInPrerequisiteState, match="a schema budget that is not of pgbudget"
    ) as e:
        chain.migrate(application_dsn)
    assert e.value.diag.message_detail == "It is owned by postgres."
    assert "ALTER SCHEMA budget RENAME TO" in (e.value.diag.message_hint or "")
    assert found(server, application_dsn) == as_found
    assert chain.rollback(application_dsn, all=True) == []
    assert found(server, application_dsn) == as_found


def test_a_schema_that_another_role_owns_stops_the_migration(
    server: Server, application_dsn: str, app_role: str
) -> None:
    with session(application_dsn) as db:
        db.execute(f"CREATE SCHEMA budget AUTHORIZATION {app_role}".encode())
        db.execute("COMMENT ON SCHEMA budget IS 'pgbudget: so it says.'")
    as_found = found(server, application_dsn)
    with pytest.raises(BudgetError, match=f"pgbudget belongs to '{app_role}' here"):
        chain.migrate(application_dsn)
    # The file says so itself, and accepts the ledger's owner alone.
    for accept in ("off", "on"):
        with session(application_dsn) as db:
            db.execute(f"SET pgbudget.accept_owner = {accept}".encode())
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="belongs to another role") as e:
                db.execute(chain.files()[0].read_bytes())
        assert e.value.diag.message_detail == f"It is owned by {app_role}."
    assert found(server, application_dsn) == as_found
