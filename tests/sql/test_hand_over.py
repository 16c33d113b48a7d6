"""_hand_over and _foreign_owners: all is the ledger's owner's, once somebody has said that he is trusted."""

from __future__ import annotations

from tests.pgtap import is_empty, results_eq
from tests.rows import Connection

OWNERS = "SELECT DISTINCT c.relowner::regrole::text FROM pg_class AS c WHERE c.relnamespace = 'budget'::regnamespace"
STOPS = "SELECT f.table_name FROM budget._foreign_owners() AS f WHERE f.table_name = 'cost_tracking'"


def test_what_is_anothers_is_given_to_the_owner(tx: Connection) -> None:
    tx.execute("CREATE ROLE somebody; ALTER VIEW budget.status OWNER TO somebody")
    tx.execute("SELECT budget._hand_over()")
    results_eq(tx, OWNERS, [("postgres",)])


def test_an_owner_who_is_not_trusted_is_given_nothing(tx: Connection) -> None:
    tx.execute("CREATE ROLE somebody; ALTER TABLE public.cost_tracking OWNER TO somebody")
    results_eq(tx, STOPS, [("cost_tracking",)])
    tx.execute("SELECT budget._hand_over()")
    results_eq(tx, OWNERS, [("postgres",)])
    tx.execute("SET LOCAL pgbudget.accept_owner = on")
    is_empty(tx, STOPS)
