"""One statement for each public function, and the rows that they need: what the tests of privileges try."""

from __future__ import annotations

from tests.clock import Clock
from tests.rows import Connection
from tests.series import SERIES, by_series

HOLD = "00000000-0000-4000-8000-000000000001"
NEW = "00000000-0000-4000-8000-000000000002"
ORDER = "00000000-0000-4000-8000-000000000003"

LEDGER = "public.cost_tracking"
OWN_TABLES = by_series(core=(), budgets=("budget.balances", "budget.budgets", "budget.postings"))
TABLES = (
    *OWN_TABLES, LEDGER, "public.escalations", "public.proposer_configs", "public.system_config", "public.work_orders",
)  # fmt: skip
LEDGER_VIEWS = (
    *by_series(core=(), budgets=("budget.budget_status",)),
    "budget.daily_spend", "budget.hourly_spend", "budget.invariants", "budget.open_holds", "budget.status",
)  # fmt: skip
VIEWS = ("budget.escalations", *LEDGER_VIEWS)

# Each succeeds for whoever may call it, after `populate`, and answers alike every time.
_CORES = {
    "budget.cancel": f"SELECT * FROM budget.cancel('{HOLD}')",
    "budget.check": "SELECT * FROM budget.check(1, 'service')",
    "budget.detect_hard_stop": "SELECT budget.detect_hard_stop('authentication')",
    "budget.escalate": "SELECT budget.escalate('component', 'operation', 'error') IS NOT NULL",
    "budget.estimate": "SELECT budget.estimate(0.5, false)",
    "budget.estimate_from_history": "SELECT * FROM budget.estimate_from_history('service')",
    "budget.estimate_tokens": "SELECT budget.estimate_tokens('proposer', 1, 1)",
    "budget.expire": "SELECT * FROM budget.expire()",
    "budget.extend": f"SELECT * FROM budget.extend('{HOLD}', 6)",
    "budget.freeze": "SELECT * FROM budget.freeze('reason')",
    "budget.limits": "SELECT * FROM budget.limits()",
    "budget.record": f"SELECT * FROM budget.record(1, 'service', p_id => '{NEW}')",
    "budget.reserve": f"SELECT * FROM budget.reserve(1, 'service', p_reservation_id => '{NEW}')",
    "budget.reserve_advisory": f"SELECT * FROM budget.reserve_advisory(1, 'service', p_reservation_id => '{NEW}')",
    "budget.retry_strategy": "SELECT budget.retry_strategy('proposer', 1, 'reason')",
    "budget.route_work_order": f"SELECT budget.route_work_order('{ORDER}', 'task', '{{}}', 0.5, true) -> 'success'",
    "budget.set_limits": """SELECT * FROM budget.set_limits('{"emergency_kill": 200}')""",
    "budget.settle": f"SELECT * FROM budget.settle('{HOLD}', 6)",
    "budget.unfreeze": "SELECT * FROM budget.unfreeze()",
    "budget.version": "SELECT budget.version()",
    "public.check_and_reserve_budget": "SELECT can_proceed, current_total FROM check_and_reserve_budget(1, 'service')",
}
CALLS = _CORES
if SERIES == "budgets":
    CALLS = dict(
        sorted(
            {
                **_CORES,
                "budget.drop_budget": "SELECT * FROM budget.drop_budget('team')",
                "budget.prune": "SELECT budget.prune()",
                "budget.reconcile": "SELECT * FROM budget.reconcile()",
                "budget.reserve_many": """SELECT can_proceed, current_total
                    FROM budget.reserve_many('[{"estimated_cost": 1, "service_name": "service"}]')""",
                "budget.set_budget": "SELECT * FROM budget.set_budget('team', 10, 'team')",
                "budget.settle_many": f"""SELECT *
                    FROM budget.settle_many('[{{"reservation_id": "{HOLD}", "actual_cost": 6}}]')""",
            }.items()
        )
    )


def populate(owner: Connection) -> None:
    """As the functions' owner: stop the clock, write $30 of spend, a hold of $5, a work order and a proposer."""
    Clock(owner)
    owner.execute(
        """INSERT INTO public.proposer_configs (name, model, provider, cost_profile)
           VALUES ('proposer', 'model', 'provider', '{"input_cost_per_token": 1, "output_cost_per_token": 1}')"""
    )
    owner.execute(
        "INSERT INTO public.work_orders (id, title, description) VALUES (%s, 'title', 'description')", [ORDER]
    )
    if SERIES == "budgets":
        owner.execute("SELECT budget.set_budget('team', 10, 'team')")
    owner.execute("SELECT budget.record(30, 'service')")
    owner.execute("SELECT budget.reserve(5, 'service', p_reservation_id => %s)", [HOLD])
