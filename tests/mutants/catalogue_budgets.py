"""The mistakes that somebody could make in the series `budgets`, and the tests that must notice each of them."""

from __future__ import annotations

from functools import partial

from tests.mutants import mutate

INTERNAL = "functions/_internal"

Mutant = partial(mutate.Mutant, series="budgets")

LEDGER = [
    Mutant(
        "what is deleted from the ledger is posted nowhere",
        "migrations/0003.pgbudget_budgets_takeover.sql",
        {
            "    CREATE OR REPLACE TRIGGER budget_post_delete\n"
            "    AFTER DELETE ON public.cost_tracking\n"
            "    REFERENCING OLD TABLE AS old_rows\n"
            "    FOR EACH STATEMENT EXECUTE FUNCTION budget._post();\n": "",
        },
        ("budgets/test_dimensions.py::test_whatever_is_written_to_the_ledger_is_in_the_balances",),
    ),
    Mutant(
        "an empty ledger leaves its balances behind",
        f"{INTERNAL}/_forget_balances.sql",
        {"DELETE FROM budget.balances;": "NULL;"},
        ("budgets/test_dimensions.py::test_an_empty_ledger_has_empty_balances",),
    ),
    Mutant(
        "an older snapshot may empty the ledger, and leaves balances behind that it does not see",
        f"{INTERNAL}/_forget_balances.sql",
        {"PERFORM budget._end_write(budget._begin_decision());": ""},
        ("budgets/test_old_snapshots.py::test_the_ledger_is_not_emptied_by_an_older_snapshot",),
    ),
    Mutant(
        "an empty ledger leaves what was posted behind",
        f"{INTERNAL}/_forget_balances.sql",
        {"DELETE FROM budget.postings;": "NULL;"},
        ("budgets/test_dimensions.py::test_an_empty_ledger_has_empty_balances",),
    ),
    Mutant(
        "a writer with an older snapshot does not learn of a change",
        f"{INTERNAL}/_touch.sql",
        {"WHERE b.name = 'daily'": "WHERE b.name = 'day'"},
        ("budgets/test_set_budget.py::test_a_writer_with_an_older_snapshot_repeats",),
    ),
]

WINDOWS = [
    Mutant(
        "every month has 31 days",
        f"{INTERNAL}/_window.sql",
        {"v_first + ('1 ' || p_period)": "v_first + replace('1 ' || p_period, '1 month', '31 days')"},
        ("budgets/test_windows.py::test_a_window",),
    ),
    Mutant(
        "weeks and months begin in UTC",
        f"{INTERNAL}/_window.sql",
        {"budget._day_start(v_first, v_zone)": "budget._day_start(v_first, 'UTC')"},
        ("budgets/test_windows.py::test_a_window",),
    ),
    Mutant(
        "windows are cut in the caller's time zone",
        f"{INTERNAL}/_window.sql",
        {"SET timezone = 'UTC'\n": ""},
        ("budgets/test_windows.py::test_a_window",),
    ),
    Mutant(
        "a row that has no day is posted",
        f"{INTERNAL}/_window.sql",
        {"IF NOT isfinite(p_at) THEN": "IF false THEN"},
        ("budgets/test_windows.py::test_what_has_no_time_is_in_no_window",),
        beside={f"{INTERNAL}/_window_at.sql": {"pg_catalog.isfinite(p_at) AND ": ""}},
    ),
    Mutant(
        "a row that has no day is posted to a total that is open",
        f"{INTERNAL}/_window_at.sql",
        {"pg_catalog.isfinite(p_at) AND ": ""},
        ("budgets/test_decision.py::test_what_has_no_time_is_not_in_a_total_that_is_open",),
    ),
    Mutant(
        "the newest balance of a member is taken for that of every instant after it",
        f"{INTERNAL}/_window_at.sql",
        {"ON p_at < k.ends_at": "ON true"},
        ("budgets/test_windows.py::test_a_window_opens_by_itself_when_its_time_has_come",),
    ),
    Mutant(
        "the newest balance of a member is taken for that of every instant before it",
        f"{INTERNAL}/_window_at.sql",
        {" AND o.starts_at <= p_at\n": "\n"},
        (("budgets/test_decision.py::test_a_late_settle_counts_in_its_window_though_a_later_one_is_open"),),
    ),
    Mutant(
        "the oldest balance of a member is looked at for the running window",
        f"{INTERNAL}/_window_at.sql",
        {"ORDER BY o.starts_at DESC": "ORDER BY o.starts_at"},
        ("budgets/test_decision.py::test_the_bounds_of_the_running_window_are_at_hand",),
    ),
    Mutant(
        "the window of one budget has the bounds of another",
        f"{INTERNAL}/_window_at.sql",
        {"o.budget = (p_budget).name AND ": ""},
        ("budgets/test_windows.py::test_a_window_opens_by_itself_when_its_time_has_come",),
    ),
    Mutant(
        "a changed zone leaves the balances as they were",
        f"{INTERNAL}/_rezone.sql",
        {"WHERE b.timezone IS NULL AND": "WHERE false AND"},
        ("budgets/test_windows.py::test_a_changed_zone_moves_the_days_that_follow_it",),
    ),
    Mutant(
        "a changed zone leaves weeks and months as they were",
        f"{INTERNAL}/_rezone.sql",
        {"b.period IN ('day', 'week', 'month')": "b.period = 'day'"},
        ("budgets/test_windows.py::test_a_changed_zone_moves_weeks_and_months_too",),
    ),
    Mutant(
        "the zone changes while the ledger is written",
        f"{INTERNAL}/_rezone.sql",
        {"PERFORM budget._lock_ledger();": ""},
        ("budgets/test_windows.py::test_a_writer_under_way_is_waited_for_before_the_zone_changes",),
    ),
    Mutant(
        "the zone changes at any isolation level",
        f"{INTERNAL}/_rezone.sql",
        {"budget._begin_decision()": "budget._begin_write()"},
        ("budgets/test_windows.py::test_a_zone_is_changed_at_read_committed_alone",),
    ),
    Mutant(
        "any change of settings computes all anew",
        f"{INTERNAL}/_rezone.sql",
        {"IF (budget._parse_policy(v_old)).timezone = (": "IF false AND (budget._parse_policy(v_old)).timezone = ("},
        ("budgets/test_windows.py::test_other_settings_compute_nothing_anew",),
    ),
    Mutant(
        "rows of windows to come are left out",
        f"{INTERNAL}/_rebuild.sql",
        {"WHERE l.created_at >= n.ends_at": "WHERE false"},
        ("budgets/test_windows.py::test_rows_of_windows_to_come_are_counted_there",),
    ),
]

ADMINISTRATION = [
    Mutant(
        "a budget counts from the moment when it is set",
        f"{INTERNAL}/_rebuild.sql",
        {"l.created_at >= n.starts_at": "l.created_at >= v_now"},
        ("budgets/test_set_budget.py::test_a_new_budget_counts_what_its_window_has_already",),
    ),
    Mutant(
        "a budget that is changed keeps what it counted before",
        "functions/set_budget.sql",
        {"PERFORM budget._rebuild(p_name);": ""},
        ("budgets/test_set_budget.py::test_a_changed_budget_counts_what_its_window_has_already",),
    ),
    Mutant(
        "what was posted to a budget before it changed counts again",
        f"{INTERNAL}/_rebuild.sql",
        {"DELETE FROM budget.postings AS o WHERE o.budget = p_budget;": ""},
        ("budgets/test_set_budget.py::test_a_changed_budget_counts_what_its_window_has_already",),
    ),
    Mutant(
        "nobody knows from when on a budget is counted",
        f"{INTERNAL}/_rebuild.sql",
        {"SET counted_from = v_now": "SET counted_from = NULL"},
        ("budgets/test_windows.py::test_a_member_that_comes_new_into_a_long_window_is_not_looked_for_in_all_of_it",),
    ),
    Mutant(
        "each member shares one balance with all others",
        f"{INTERNAL}/_rebuild.sql",
        {
            "SELECT b.slots, m.member, w": "SELECT b.slots, min(m.member) AS member, w",
            "GROUP BY b.slots, m.member, w": "GROUP BY b.slots, w",
        },
        ("budgets/test_set_budget.py::test_a_new_budget_counts_what_its_window_has_already",),
    ),
    Mutant(
        "an inactive budget counts",
        f"{INTERNAL}/_rebuild.sql",
        {"            AND b.is_active\n": ""},
        ("budgets/test_set_budget.py::test_an_inactive_budget_refuses_nothing_and_counts_nothing",),
    ),
    Mutant(
        "a budget is computed while the ledger is written",
        "functions/set_budget.sql",
        {"PERFORM budget._lock_ledger();": ""},
        ("budgets/test_set_budget.py::test_it_does_not_wait_for_ever_for_writers_of_the_ledger",),
    ),
    Mutant(
        "a budget is computed from an older snapshot",
        "functions/set_budget.sql",
        {"budget._begin_decision()": "budget._begin_write()"},
        ("budgets/test_set_budget.py::test_it_decides_at_read_committed_alone",),
    ),
    Mutant(
        "a writer with an older snapshot posts nothing to a new budget",
        "functions/set_budget.sql",
        {"PERFORM budget._touch();": ""},
        ("budgets/test_set_budget.py::test_a_writer_with_an_older_snapshot_repeats",),
    ),
    Mutant(
        "set_budget leaves what is not given as it was",
        "functions/set_budget.sql",
        {"period = excluded.period,": "period = coalesce(b.period, excluded.period),"},
        ("budgets/test_set_budget.py::test_it_replaces_the_whole",),
    ),
    Mutant(
        "the day may be limited to a team",
        "functions/set_budget.sql",
        {"IS DISTINCT FROM ('*', 'day',": "IS DISTINCT FROM (p_dimension, 'day',"},
        ("budgets/test_set_budget.py::test_a_fault_is_told_and_changes_nothing",),
    ),
    Mutant(
        "a raise may never end",
        "functions/set_budget.sql",
        {"WHEN NOT isfinite(p_until) THEN": "WHEN false THEN"},
        ("budgets/test_set_budget.py::test_a_fault_is_told_and_changes_nothing",),
    ),
    Mutant(
        "who changed a budget is not kept",
        "functions/set_budget.sql",
        {"    PERFORM budget._note_change(": "    PERFORM concat("},
        ("budgets/test_set_budget.py::test_what_was_changed_is_kept",),
    ),
    Mutant(
        "callers may set budgets",
        "functions/set_budget.sql",
        {") TO budget_admin;": ") TO budget_admin, budget_caller;"},
        ("budgets/test_set_budget.py::test_signatures",),
    ),
    Mutant(
        "a dropped budget leaves its postings behind",
        "functions/drop_budget.sql",
        {"DELETE FROM budget.postings AS o WHERE o.budget = p_name;": ""},
        ("budgets/test_set_budget.py::test_a_dropped_budget_limits_nobody_and_leaves_nothing_behind",),
    ),
    Mutant(
        "a writer with an older snapshot posts to a budget that was dropped",
        "functions/drop_budget.sql",
        {"PERFORM budget._touch();": ""},
        ("budgets/test_set_budget.py::test_a_writer_with_an_older_snapshot_repeats",),
    ),
    Mutant(
        "a dropped budget leaves its balances behind",
        "migrations/0001.pgbudget_budgets_tables.sql",
        {"REFERENCES budget.budgets (name) ON DELETE CASCADE": ""},
        ("budgets/test_set_budget.py::test_a_dropped_budget_limits_nobody_and_leaves_nothing_behind",),
    ),
    Mutant(
        "the day can be dropped",
        "functions/drop_budget.sql",
        {"AND b.name <> 'daily'": ""},
        ("budgets/test_set_budget.py::test_only_what_is_there_can_be_dropped_and_never_the_day",),
    ),
]

PRUNING = [
    Mutant(
        "prune removes the window that runs",
        "functions/prune.sql",
        {"least(p_before, budget._now())": "coalesce(p_before, budget._now())"},
        ("budgets/test_prune.py::test_windows_that_have_ended_by_then_go",),
    ),
    Mutant(
        "prune removes every window that has begun",
        "functions/prune.sql",
        {"OR min(b.ends_at) <= v_before": "OR min(b.starts_at) <= v_before"},
        ("budgets/test_prune.py::test_windows_that_have_ended_by_then_go",),
    ),
    Mutant(
        "prune counts the slots of what it removes",
        "functions/prune.sql",
        {" WHERE p.slot = 0": ""},
        ("budgets/test_prune.py::test_windows_that_have_ended_by_then_go",),
    ),
    Mutant(
        "a window that was pruned is taken for one without a row",
        "functions/prune.sql",
        {"WHERE b.counted_from < v_before": "WHERE false"},
        ("budgets/test_prune.py::test_pruned_members_are_opened_again_from_the_ledger",),
    ),
    Mutant(
        "prune leaves the postings of ended windows",
        "functions/prune.sql",
        {"DELETE FROM budget.postings AS o WHERE o.ends_at <= v_before;": ""},
        ("budgets/test_prune.py::test_postings_that_nobody_will_ask_for_go_with_the_window",),
    ),
    Mutant(
        "prune folds nothing",
        "functions/prune.sql",
        {
            ("DELETE FROM budget.postings AS o\n        RETURNING"): (
                "DELETE FROM budget.postings AS o WHERE false\n        RETURNING"
            )
        },
        ("budgets/test_prune.py::test_what_nobody_reserves_from_is_folded",),
    ),
    Mutant(
        "prune opens no balance for what it takes",
        "functions/prune.sql",
        {"WHERE k.budget IS NULL;": "WHERE false;"},
        ("budgets/test_prune.py::test_what_nobody_reserves_from_is_folded",),
    ),
    Mutant(
        "prune adds what it takes to every slot",
        "functions/prune.sql",
        {" AND b.starts_at = t.starts_at AND b.slot = 0;": " AND b.starts_at = t.starts_at;"},
        ("budgets/test_prune.py::test_what_nobody_reserves_from_is_folded",),
    ),
    Mutant(
        "prune leaves balances that come to nothing",
        "functions/prune.sql",
        {"HAVING sum(b.amount) = 0 OR ": "HAVING "},
        ("budgets/test_decision.py::test_a_balance_that_comes_to_nothing_is_pruned",),
    ),
    Mutant(
        "prune folds what was posted under its own slot alone",
        "functions/prune.sql",
        {
            ("DELETE FROM budget.postings AS o\n        RETURNING"): (
                "DELETE FROM budget.postings AS o WHERE o.slot = 0\n        RETURNING"
            )
        },
        ("budgets/test_prune.py::test_what_nobody_reserves_from_is_folded",),
    ),
    Mutant(
        "prune goes on beside the writers of the ledger",
        "functions/prune.sql",
        {"PERFORM budget._lock_ledger();": ""},
        ("budgets/test_set_budget.py::test_it_does_not_wait_for_ever_for_writers_of_the_ledger",),
    ),
    Mutant(
        ("who was never asked for is taken to have spent nothing, though the window was pruned"),
        f"{INTERNAL}/_booked.sql",
        {"WHEN p_is_counted THEN": "WHEN true THEN"},
        ("budgets/test_prune.py::test_pruned_members_are_opened_again_from_the_ledger",),
    ),
    Mutant(
        "a balance of a window that was pruned is opened as if all of it were posted",
        f"{INTERNAL}/_open.sql",
        {"WHEN p_standing.ends_at > b.counted_from THEN 0": "WHEN true THEN 0"},
        ("budgets/test_decision.py::test_a_pruned_window_is_opened_with_what_the_ledger_has",),
    ),
    Mutant(
        "who comes new is looked for in the whole window",
        f"{INTERNAL}/_booked.sql",
        {"WHEN p_is_counted THEN": "WHEN false THEN"},
        ("budgets/test_decision.py::test_who_comes_new_is_not_looked_for_in_the_ledger",),
    ),
]

DRIFT = [
    Mutant(
        "reconcile reports, and mends nothing",
        "functions/reconcile.sql",
        {"b.slots, reconcile.ledger)": "b.slots, reconcile.balance)"},
        ("budgets/test_reconcile.py::test_what_was_written_past_the_triggers_is_found_and_mended",),
    ),
    Mutant(
        "reconcile mends, and reports nothing",
        "functions/reconcile.sql",
        {"        RETURN NEXT;\n": ""},
        ("budgets/test_reconcile.py::test_what_was_written_past_the_triggers_is_found_and_mended",),
    ),
    Mutant(
        "reconcile counts what was posted once more",
        "functions/reconcile.sql",
        {
            "FROM budget.postings AS o\n": "FROM budget.postings AS o USING (SELECT WHERE false) AS nobody\n",
        },
        ("budgets/test_reconcile.py::test_who_never_asked_is_found_and_mended_too",),
    ),
    Mutant(
        "reconcile leaves a budget without its slots",
        "functions/reconcile.sql",
        {"b.slots, reconcile.ledger": "1, reconcile.ledger"},
        ("budgets/test_reconcile.py::test_slots_that_have_not_the_room_of_their_limit_are_found_and_mended",),
    ),
    Mutant(
        "reconcile goes on beside the writers of the ledger",
        "functions/reconcile.sql",
        {"PERFORM budget._lock_ledger();": ""},
        ("budgets/test_set_budget.py::test_it_does_not_wait_for_ever_for_writers_of_the_ledger",),
    ),
    Mutant(
        "room that no limit gave is no drift",
        f"{INTERNAL}/_drift.sql",
        {" OR c.misspread <> 0": ""},
        ("budgets/test_reconcile.py::test_slots_that_have_not_the_room_of_their_limit_are_found_and_mended",),
    ),
    Mutant(
        "a ledger row that is in no balance at all is no drift",
        f"{INTERNAL}/_drift.sql",
        {"FULL JOIN spent": "LEFT JOIN spent"},
        ("budgets/test_reconcile.py::test_who_never_asked_is_found_and_mended_too",),
    ),
    Mutant(
        "what is posted and not folded yet is drift",
        f"{INTERNAL}/_drift.sql",
        {
            "false, e.amount, 0 FROM": "false, 0, 0 FROM",
        },
        ("budgets/test_reconcile.py::test_a_healthy_database_is_left_as_it_is",),
    ),
]

ROOM = [
    Mutant(
        "room is spread as if nothing were held",
        f"{INTERNAL}/_spread_room.sql",
        {"v_free := p_standing.limit_amount - v_total;": "v_free := p_standing.limit_amount;"},
        ("budgets/test_decision.py::test_all_room_is_spread_and_no_more",),
    ),
    Mutant(
        "the own slot gets no more than the others",
        f"{INTERNAL}/_spread_room.sql",
        {"greatest(0, v_free) - (p_standing.slots - 1) * v_share": "v_share"},
        ("budgets/test_decision.py::test_all_room_is_spread_and_no_more",),
    ),
    Mutant(
        "whose limit is spread is not kept",
        f"{INTERNAL}/_spread_room.sql",
        {"WHEN 0 THEN p_standing.limit_amount ELSE 0 END": "WHEN 0 THEN b.room_of ELSE 0 END"},
        ("budgets/test_raises.py::test_a_raise_ends_by_itself",),
    ),
    Mutant(
        "room is spread where there is none",
        f"{INTERNAL}/_spread_room.sql",
        {"WHEN 0 THEN least(0, v_free)": "WHEN 0 THEN 0"},
        (("budgets/test_decision.py::test_where_lapsed_holds_have_the_room_slot_0_has_what_is_missing"),),
    ),
    Mutant(
        "a slot is given less room than none",
        f"{INTERNAL}/_spread_room.sql",
        {"trunc(greatest(0, v_free -": "trunc((v_free -"},
        (("budgets/test_decision.py::test_where_lapsed_holds_have_the_room_slot_0_has_what_is_missing"),),
    ),
    Mutant(
        "the own slot is given less room than none",
        f"{INTERNAL}/_spread_room.sql",
        {"THEN greatest(0, v_free) - (": "THEN v_free - ("},
        (("budgets/test_decision.py::test_where_lapsed_holds_have_the_room_slot_0_has_what_is_missing"),),
    ),
    Mutant(
        "a spread leaves what was posted under other slots",
        f"{INTERNAL}/_spread_room.sql",
        {"p_standing.starts_at, NULL\n": "p_standing.starts_at, p_standing.slot\n"},
        ("budgets/test_decision.py::test_all_room_is_spread_and_no_more",),
    ),
    Mutant(
        "what is asked for is not set aside for the own slot",
        f"{INTERNAL}/_spread_room.sql",
        {"v_free - greatest(0, p_standing.amount))": "v_free)"},
        ("budgets/test_decision.py::test_all_room_is_spread_and_no_more",),
    ),
    Mutant(
        "what is spread leaves the balance as it was",
        f"{INTERNAL}/_spread_room.sql",
        {"CASE b.slot WHEN 0 THEN v_total ELSE 0 END": "b.amount"},
        ("budgets/test_decision.py::test_all_room_is_spread_and_no_more",),
    ),
]

BATCHES = [
    Mutant(
        "what comes after a refusal has no verdict",
        "functions/reserve_many.sql",
        {
            "v_verdicts[v_element.n] := v_verdict;": (
                "v_verdicts[v_element.n] := v_verdict; EXIT WHEN NOT v_verdict.can_proceed;"
            )
        },
        ("budgets/test_reserve_many.py::test_each_is_granted_while_the_room_lasts",),
    ),
    Mutant(
        "a batch is reserved one by one",
        "functions/reserve_many.sql",
        {"IF NOT v_fits THEN": "IF true THEN"},
        ("budgets/test_reserve_many.py::test_a_batch_that_fits_is_one_instant_and_one_posting_to_each_budget",),
    ),
    Mutant(
        "a batch that does not fit is refused as a whole",
        "functions/reserve_many.sql",
        {
            "budget._verdict(v_decision, v_element.amount,": (
                "budget._verdict(v_decision, (v_decision.standings[1]).amount,"
            )
        },
        ("budgets/test_reserve_many.py::test_each_is_granted_while_the_room_lasts",),
    ),
    Mutant(
        "a batch locks nothing",
        "functions/reserve_many.sql",
        {("budget._standings(v_asked.requests, 'advisory')"): "budget._standings(v_asked.requests, NULL)"},
        ("budgets/test_batch_races.py::test_a_batch_waits_for_an_open_decision_and_then_sees_it",),
    ),
    Mutant(
        "each of a batch is held against what was there before it",
        "functions/reserve_many.sql",
        {"v_standings[v_own].total := v_standings[v_own].total + v_element.amount;": "NULL;"},
        ("budgets/test_reserve_many.py::test_each_is_granted_while_the_room_lasts",),
    ),
    Mutant(
        "a batch counts in the day alone what it was granted before",
        "functions/reserve_many.sql",
        {
            ("FOREACH v_own IN ARRAY v_element.standings LOOP\n                    v_standings"): (
                "FOREACH v_own IN ARRAY v_element.standings[:1] LOOP\n                    v_standings"
            )
        },
        (("budgets/test_decision.py::test_a_batch_counts_in_every_budget_what_it_was_granted_before"),),
    ),
    Mutant(
        "verdicts come in the order of their ids",
        "functions/reserve_many.sql",
        {
            ("RETURN QUERY SELECT v.* FROM unnest(v_verdicts) AS v;"): (
                "RETURN QUERY SELECT v.* FROM unnest(v_verdicts) AS v ORDER BY v.reservation_id;"
            )
        },
        ("budgets/test_reserve_many.py::test_a_batch_that_fits_is_one_instant_and_one_posting_to_each_budget",),
    ),
    Mutant(
        ("a batch is inserted in the order given, and waits for another that has its ids in another"),
        f"{INTERNAL}/_write_holds.sql",
        {"ORDER BY r.id\n": "ORDER BY r.n\n"},
        ("budgets/test_batch_races.py::test_ids_in_opposite_orders_are_no_deadlock",),
    ),
    Mutant(
        "an id that stands in a batch twice is granted twice",
        "functions/reserve_many.sql",
        {
            (
                "\n            OR row_number() OVER (PARTITION BY v_asked.ids[r.n] ORDER BY r.n) > 1 AS is_repeat"
            ): " AS is_repeat"
        },
        ("budgets/test_reserve_many.py::test_an_id_with_other_arguments_undoes_the_batch",),
    ),
    Mutant(
        "a freeze does not stop a batch",
        "functions/reserve_many.sql",
        {
            ("v_verdict := budget._verdict(v_decision, v_element.amount, v_element.service_name, NULL);"): (
                "v_verdict := CASE\n"
                "                WHEN v_fits THEN budget."
                "_standing_verdict(v_decision.standings[1], "
                "'granted')\n"
                "                ELSE budget."
                "_verdict(v_decision, v_element.amount, "
                "v_element.service_name, NULL)\n"
                "            END;"
            )
        },
        ("budgets/test_reserve_many.py::test_a_freeze_refuses_it_all",),
    ),
    Mutant(
        "a batch counts the largest of its requests alone",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"sum(r.amount) AS amount": "max(r.amount) AS amount"},
        ("budgets/test_decision.py::test_a_batch_needs_room_in_its_slot_for_all_of_it",),
    ),
    Mutant(
        "an id of a batch that a plain insert took meanwhile is said to be reserved",
        f"{INTERNAL}/_write_holds.sql",
        {" AND NOT EXISTS (SELECT FROM unnest(v_written) AS w (id) WHERE w.id = r.id)": " AND false"},
        (("budgets/test_batch_races.py::test_an_id_that_a_plain_insert_takes_meanwhile_is_not_reserved"),),
    ),
    Mutant(
        "a key that is misspelt is left out",
        f"{INTERNAL}/_batch.sql",
        {"e.element - p_keys <> '{}'": "false"},
        ("budgets/test_reserve_many.py::test_a_wrong_element_is_named_and_nothing_is_reserved",),
    ),
    Mutant(
        "settle_many leaves out what it cannot settle",
        f"{INTERNAL}/_lock_holds.sql",
        {"PERFORM budget._element_error(": "PERFORM concat("},
        ("budgets/test_settle_many.py::test_a_wrong_element_is_named_and_nothing_is_settled",),
    ),
    Mutant(
        "settle_many locks holds in the order given",
        f"{INTERNAL}/_lock_holds.sql",
        {"PERFORM FROM public.cost_tracking AS l WHERE l.id = ANY (p_ids) ORDER BY l.id FOR NO KEY UPDATE;": ""},
        ("budgets/test_batch_races.py::test_holds_settled_in_opposite_orders_are_no_deadlock",),
    ),
    Mutant(
        "settle_many does not see that a hold stands in the batch twice",
        f"{INTERNAL}/_lock_holds.sql",
        {"IF v_first[v_n] < v_n THEN": "IF false THEN"},
        ("budgets/test_settle_many.py::test_a_wrong_element_is_named_and_nothing_is_settled",),
    ),
    Mutant(
        "outcomes come in the order of their ids",
        "functions/settle_many.sql",
        {"ORDER BY s.n;": "ORDER BY s.id;"},
        ("budgets/test_settle_many.py::test_the_outcomes_come_in_the_order_given",),
    ),
    Mutant(
        "settle_many settles again what is settled",
        "functions/settle_many.sql",
        {" AND s.n = ANY (v_open)": ""},
        ("budgets/test_settle_many.py::test_repeating_it_changes_nothing",),
    ),
    Mutant(
        "a whole batch is over the limit when one of its spends is",
        f"{INTERNAL}/_totals_after.sql",
        {"    WHERE s.more > 0;": "    WHERE true;"},
        ("budgets/test_settle_many.py::test_over_limit_goes_by_the_day_as_the_whole_batch_leaves_it",),
    ),
    Mutant(
        "over_limit goes by the day before the batch",
        f"{INTERNAL}/_totals_after.sql",
        {"min(s.created_at), sum(s.more))": "min(s.created_at), 0)"},
        ("budgets/test_settle_many.py::test_over_limit_goes_by_the_day_as_the_whole_batch_leaves_it",),
    ),
]

POSTINGS = [
    Mutant(
        "an update posts what it wrote, and does not take back what was there",
        f"{INTERNAL}/_post.sql",
        {"-o.cost FROM old_rows AS o\n": "-o.cost FROM old_rows AS o WHERE false\n"},
        ("budgets/test_dimensions.py::test_whatever_is_written_to_the_ledger_is_in_the_balances",),
    ),
    Mutant(
        "what is deleted is posted as if it were spent",
        f"{INTERNAL}/_post.sql",
        {"b.slot, -sum(c.cost)": "b.slot, sum(c.cost)"},
        ("budgets/test_dimensions.py::test_whatever_is_written_to_the_ledger_is_in_the_balances",),
    ),
    Mutant(
        "what is written is posted to the window that runs",
        f"{INTERNAL}/_post.sql",
        {
            (
                "FROM new_rows AS c\n"
                "            CROSS JOIN LATERAL budget."
                "_balances_of(c.service_name, budget."
                "_requested(c.metadata), c.created_at) AS b"
            ): (
                "FROM new_rows AS c\n"
                "            CROSS JOIN LATERAL budget."
                "_balances_of(c.service_name, budget."
                "_requested(c.metadata), v_now) AS b"
            )
        },
        ("budgets/test_windows.py::test_rows_of_windows_to_come_are_counted_there",),
    ),
    Mutant(
        "a writer with an older snapshot posts as if nothing had changed",
        f"{INTERNAL}/_post.sql",
        {"<> 'read committed' THEN": "= 'read uncommitted' THEN"},
        ("budgets/test_set_budget.py::test_a_writer_with_an_older_snapshot_repeats",),
    ),
    Mutant(
        "spend that nobody asked for reaches no threshold",
        f"{INTERNAL}/_post.sql",
        {"PERFORM budget._escalate_thresholds(v_posted, v_now);": "NULL;"},
        ("budgets/test_several_budgets.py::test_soft_limits_escalate_once_for_a_window_and_member",),
    ),
    Mutant(
        "what takes the place of a lapsed hold reaches no threshold",
        f"{INTERNAL}/_post.sql",
        {"(p.amount > 0 OR v_any_lapsed)": "p.amount > 0"},
        (("budgets/test_decision.py::test_what_takes_the_place_of_a_lapsed_hold_reaches_a_threshold"),),
    ),
    Mutant(
        "what is folded stays posted",
        f"{INTERNAL}/_fold.sql",
        {"IF NOT FOUND THEN": "IF true THEN"},
        ("budgets/test_several_budgets.py::test_what_fits_all_is_counted_by_all",),
    ),
    Mutant(
        "what is folded is added twice",
        f"{INTERNAL}/_fold.sql",
        {"SET amount = b.amount + v_amount": "SET amount = b.amount + 2 * v_amount"},
        ("budgets/test_several_budgets.py::test_what_fits_all_is_counted_by_all",),
    ),
    Mutant(
        "postings for which the slot has no room are dropped",
        f"{INTERNAL}/_fold.sql",
        {"IF NOT FOUND THEN": "IF false THEN"},
        ("budgets/test_decision.py::test_what_a_slot_has_no_room_for_stays_posted",),
    ),
    Mutant(
        "a slot is folded below no room",
        f"{INTERNAL}/_fold.sql",
        {"AND (b.slot = 0 OR b.room >= v_amount);": ";"},
        ("budgets/test_decision.py::test_what_a_slot_has_no_room_for_stays_posted",),
    ),
    Mutant(
        "postings are left in every window but the first",
        f"{INTERNAL}/_fold.sql",
        {"        PERFORM budget._open(p_standing);": "        NULL;"},
        ("budgets/test_windows.py::test_a_window_opens_by_itself_when_its_time_has_come",),
    ),
    Mutant(
        "whoever folds its own postings folds those of all",
        f"{INTERNAL}/_take_postings.sql",
        {"AND (p_slot IS NULL OR t.slot = p_slot)": ""},
        ("budgets/test_decision.py::test_each_slot_folds_its_own",),
    ),
    Mutant(
        "what was posted under the own slot is not folded",
        f"{INTERNAL}/_take_postings.sql",
        {"(p_slot IS NULL OR t.slot = p_slot)": "p_slot IS NULL"},
        ("budgets/test_decision.py::test_each_slot_folds_its_own",),
    ),
    Mutant(
        "whoever folds waits for postings that another takes",
        f"{INTERNAL}/_take_postings.sql",
        {" SKIP LOCKED": ""},
        ("budgets/test_folding.py::test_postings_that_another_is_taking_are_passed_over",),
    ),
    Mutant(
        "where nobody reserves postings pile up",
        f"{INTERNAL}/_post.sql",
        {"IF random() < 0.01 AND": "IF false AND"},
        ("budgets/test_folding.py::test_where_nobody_reserves_postings_do_not_pile_up",),
    ),
    Mutant(
        "what had piled up is lost",
        f"{INTERNAL}/_merge_postings.sql",
        {"v_posting.amount := v_amount;": ""},
        ("budgets/test_folding.py::test_where_nobody_reserves_postings_do_not_pile_up",),
    ),
    Mutant(
        "a balance that is opened counts twice what is posted",
        f"{INTERNAL}/_open.sql",
        {"SELECT coalesce(sum(o.amount), 0)": "SELECT 0 * coalesce(sum(o.amount), 0)"},
        ("budgets/test_decision.py::test_a_pruned_window_is_opened_with_what_the_ledger_has",),
    ),
    Mutant(
        "a window that is not open yet counts twice what is posted",
        f"{INTERNAL}/_booked.sql",
        {"ELSE budget._ledger_sum(": "ELSE p.posted + budget._ledger_sum("},
        (("budgets/test_prune.py::test_what_comes_late_counts_in_its_window_when_someone_asks_for_it"),),
    ),
    Mutant(
        "what was given back makes room in every slot",
        f"{INTERNAL}/_booked.sql",
        {"sum(t.amount) FILTER (WHERE t.amount > 0)": "sum(t.amount)"},
        (("budgets/test_decision.py::test_what_another_slot_was_given_back_is_room_for_nobody_else"),),
    ),
    Mutant(
        "a slot has the room of all",
        f"{INTERNAL}/_booked.sql",
        {"sum(b.room) FILTER (WHERE b.slot = p_slot) AS room_here": "sum(b.room) AS room_here"},
        ("budgets/test_slots.py::test_room_that_is_gone_is_missing_from_every_slot",),
    ),
]

LOCKS = [
    Mutant(
        "a decision locks no balance",
        f"{INTERNAL}/_standings_by_balances.sql",
        {
            ("WHEN k.is_alone THEN pg_advisory_xact_lock(k.key)"): (
                "WHEN k.is_alone THEN pg_advisory_xact_lock_shared(k.key)"
            )
        },
        ("budgets/test_slots.py::test_decisions_in_one_slot_wait_for_each_other[1]",),
    ),
    Mutant(
        "a check waits for those who reserve from the same balance",
        f"{INTERNAL}/_standings_by_balances.sql",
        {("            IF p_lock IS NULL THEN\n                NULL;\n            ELSIF"): "            IF"},
        ("sql/test_check.py::test_does_not_wait_for_those_who_reserve",),
    ),
    Mutant(
        "members of a budget wait for each other",
        f"{INTERNAL}/_standings_by_balances.sql",
        {("hashtextextended(k.budget || ' ' || k.member, 0) AS key"): "hashtextextended(k.budget, 0) AS key"},
        ("budgets/test_decision.py::test_members_have_nothing_to_do_with_each_other",),
    ),
    Mutant(
        "a decision locks no slot",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"PERFORM pg_advisory_xact_lock(k.key) FROM": ("PERFORM pg_advisory_xact_lock_shared(k.key) FROM")},
        (("budgets/test_decision.py::test_two_in_one_slot_wait_for_each_other_though_it_has_room_for_each"),),
    ),
    Mutant(
        "whoever has a slot alone has no part in the balance",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"ELSE pg_advisory_xact_lock_shared(k.key)": ""},
        ("budgets/test_decision.py::test_a_batch_needs_room_in_its_slot_for_all_of_it",),
    ),
    Mutant(
        "a decision of core goes on beside one of the series",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"PERFORM pg_advisory_xact_lock_shared(c_decisions);": "NULL;"},
        ("budgets/test_decision.py::test_a_decision_of_core_that_is_under_way_is_waited_for",),
    ),
    Mutant(
        "who asks for more balances than may be locked locks none",
        f"{INTERNAL}/_standings_by_balances.sql",
        {
            (
                "                v_whole := true;\n                PERFORM pg_advisory_xact_lock(c_decisions);"
            ): "                v_whole := true;"
        },
        (("budgets/test_decision.py::test_a_batch_of_very_many_balances_waits_for_every_decision"),),
    ),
    Mutant(
        "who asks for very many balances locks each of them",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"cardinality(v_keys) > c_most": "false"},
        ("budgets/test_decision.py::test_a_batch_of_very_many_balances_has_few_locks",),
    ),
    Mutant(
        "a decision goes on while the ledger is locked for a budget that changes",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;": "NULL;"},
        ("budgets/test_decision.py::test_a_budget_that_is_being_set_is_waited_for",),
    ),
    Mutant(
        "who comes for the whole balance has it not alone",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"m.slots = 1 OR v_whole ORDER BY": "m.slots = 1 ORDER BY"},
        ("budgets/test_slots.py::test_room_that_is_gone_is_missing_from_every_slot",),
    ),
    Mutant(
        "balances are locked in no order",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"array_agg(m.key ORDER BY m.key) AS keys": "array_agg(m.key ORDER BY random()) AS keys"},
        ("budgets/test_batch_races.py::test_budgets_in_any_order_are_no_deadlock",),
    ),
    Mutant(
        "the own slot has room enough, whatever it has",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"                    OR v_standing.slots > 1\n": "                    OR false\n"},
        ("budgets/test_slots.py::test_room_that_is_gone_is_missing_from_every_slot",),
    ),
    Mutant(
        "a slot that is not open yet has room enough",
        f"{INTERNAL}/_standings_by_balances.sql",
        {") IS NOT TRUE;": ") IS FALSE;"},
        ("budgets/test_decision.py::test_a_balance_that_is_not_open_has_no_room_in_its_slots",),
    ),
    Mutant(
        "what is asked for takes no room",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"greatest(0, v_standing.amount) + greatest(0, -v_found": "greatest(0, -v_found"},
        ("budgets/test_decision.py::test_a_batch_needs_room_in_its_slot_for_all_of_it",),
    ),
    Mutant(
        "a budget that only warns, and is passed, lets every slot be passed",
        f"{INTERNAL}/_standings_by_balances.sql",
        {" OR NOT v_standing.blocks);": ");"},
        (("budgets/test_decision.py::test_a_budget_that_warns_says_nothing_of_the_room_of_others"),),
    ),
    Mutant(
        "only of the last budget is room looked for in the slot",
        f"{INTERNAL}/_standings_by_balances.sql",
        {("v_lacks_room := v_lacks_room\n                    OR v_standing"): "v_lacks_room := v_standing"},
        ("budgets/test_decision.py::test_each_budget_is_asked_for_room_in_its_slot",),
    ),
    Mutant(
        "what was spent without asking takes no room",
        f"{INTERNAL}/_standings_by_balances.sql",
        {" + v_found.unreserved - v_found.room_here": " - v_found.room_here"},
        ("budgets/test_slots.py::test_room_that_is_gone_is_missing_from_every_slot",),
    ),
    Mutant(
        "what was spent past the limit takes no room",
        f"{INTERNAL}/_standings_by_balances.sql",
        {" + greatest(0, -v_found.room_of_base)\n": "\n"},
        ("budgets/test_decision.py::test_what_prune_has_folded_is_missing_from_every_slot",),
    ),
    Mutant(
        "a lowered limit takes no room",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"+ greatest(0, v_found.room_of - v_standing.limit_amount) + v_found": "+ v_found"},
        ("budgets/test_slots.py::test_room_that_is_gone_is_missing_from_every_slot",),
    ),
    Mutant(
        "a slot that is short is given nothing",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"                PERFORM budget._spread_room(v_standing);": "                NULL;"},
        ("budgets/test_decision.py::test_all_room_is_spread_and_no_more",),
    ),
    Mutant(
        "a try that was short keeps its locks while it waits for the whole",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"                RAISE EXCEPTION USING ERRCODE = 'PB099';": "                CONTINUE;"},
        ("budgets/test_decision.py::test_two_that_are_short_at_once_are_no_deadlock",),
    ),
    Mutant(
        "room that is taken stays where it was too",
        f"{INTERNAL}/_spread_room.sql",
        {"            ELSE v_share\n": "            ELSE b.room\n"},
        ("budgets/test_decision.py::test_all_room_is_spread_and_no_more",),
    ),
    Mutant(
        "what is posted piles up under those who reserve",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"CASE WHEN v_found.is_open THEN c_pile ELSE 0 END": "1000000"},
        ("budgets/test_decision.py::test_some_postings_wait_and_never_many",),
    ),
    Mutant(
        "every posting is folded by the next decision",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"CASE WHEN v_found.is_open THEN c_pile ELSE 0 END": "0"},
        ("budgets/test_decision.py::test_some_postings_wait_and_never_many",),
    ),
    Mutant(
        "room goes by the limits from before the wait",
        f"{INTERNAL}/_standings_by_balances.sql",
        {
            "    v_whole boolean := false;": (
                "    v_whole boolean := false;\n    v_before numeric := (budget._policy_in_force()).emergency_kill;"
            ),
            "v_found.room_of - v_standing.limit_amount": (
                "v_found.room_of - CASE v_standing.budget WHEN 'daily' THEN v_before ELSE v_standing.limit_amount END"
            ),
        },
        ("budgets/test_slots.py::test_limits_that_change_while_a_decision_waits_are_those_of_its_room",),
    ),
    Mutant(
        "the limits are read before the lock, in budgets",
        f"{INTERNAL}/_standings_by_balances.sql",
        {
            "            v_policy := budget._policy_in_force();\n": "",
            ("            IF p_lock IS NOT NULL THEN\n                LOCK"): (
                "            v_policy := budget."
                "_policy_in_force();\n"
                "            IF p_lock IS NOT NULL THEN\n"
                "                LOCK"
            ),
        },
        ("concurrency/test_limits_race.py::test_a_decision_goes_by_what_was_committed_while_it_waited",),
    ),
    Mutant(
        "the clock is read before the lock, in budgets",
        f"{INTERNAL}/_standings_by_balances.sql",
        {
            "            v_now := budget._now();\n": "",
            ("            IF p_lock IS NOT NULL THEN\n                LOCK"): (
                "            v_now := budget._now();\n            IF p_lock IS NOT NULL THEN\n                LOCK"
            ),
        },
        (("budgets/test_windows.py::test_a_decision_that_waited_into_the_next_window_is_made_there"),),
    ),
    Mutant(
        "a decision that waited into the next window holds the lock of the last",
        f"{INTERNAL}/_standings_by_balances.sql",
        {
            ("hashtextextended(k.budget || ' ' || k.member, 0) AS key"): (
                "hashtextextended(k.budget || ' ' || k.member || date_trunc('minute', budget._now()), 0) AS key"
            )
        },
        ("budgets/test_slots.py::test_a_decision_that_waited_into_the_next_window_keeps_others_waiting_there",),
    ),
    Mutant(
        "a raise that ended while decisions waited is given to all of them",
        f"{INTERNAL}/_standings_by_balances.sql",
        {
            "    v_whole boolean := false;": (
                "    v_whole boolean := false;\n    v_began timestamptz := budget._now();"
            ),
            "b.extra_until, v_now)": "b.extra_until, v_began)",
        },
        ("budgets/test_decision.py::test_a_raise_that_ended_while_a_decision_waited_is_over",),
    ),
    Mutant(
        "lapsed holds are never marked by those who reserve",
        f"{INTERNAL}/_reclaim.sql",
        {"PERFORM budget.expire(1000);": "NULL;"},
        ("budgets/test_folding.py::test_more_lapsed_holds_than_a_hundred_are_marked_by_the_next_decision",),
    ),
    Mutant(
        "a lapsed hold is marked by the extend that would revive it",
        f"{INTERNAL}/_standings_by_balances.sql",
        {("IF v_lapsed_at IS NOT NULL AND p_requests[1].created_at IS NULL THEN"): "IF v_lapsed_at IS NOT NULL THEN"},
        ("budgets/test_folding.py::test_a_lapsed_hold_that_is_extended_is_not_marked_first",),
    ),
]

DECISIONS = [
    Mutant(
        "a lapsed hold counts until it is marked",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"IF v_lapsed_at IS NOT NULL AND v_policy.on_expiry = 'release' THEN": "IF false THEN"},
        ("budgets/test_windows.py::test_a_lapsed_hold_counts_nothing_marked_or_not",),
    ),
    Mutant(
        "a lapsed hold counts nothing though the limits say keep",
        f"{INTERNAL}/_standings_by_balances.sql",
        {("IF v_lapsed_at IS NOT NULL AND v_policy.on_expiry = 'release' THEN"): "IF v_lapsed_at IS NOT NULL THEN"},
        ("budgets/test_windows.py::test_under_keep_a_lapsed_hold_is_spent",),
    ),
    Mutant(
        "the lapsed holds of others are given back too",
        f"{INTERNAL}/_holds_expiring.sql",
        {
            (
                "AND budget._member(p_standing.dimension, l."
                "service_name, budget._requested(l.metadata)) = "
                "p_standing.member"
            ): ""
        },
        ("budgets/test_dimensions.py::test_a_lapsed_hold_gives_room_to_its_member_alone",),
    ),
    Mutant(
        "the lapsed holds of other windows are given back too",
        f"{INTERNAL}/_holds_expiring.sql",
        {"        l.created_at >= p_standing.starts_at\n": "        true\n"},
        ("budgets/test_windows.py::test_a_lapsed_hold_gives_room_in_its_window_alone",),
    ),
    Mutant(
        "the lapsed holds of windows to come are given back too",
        f"{INTERNAL}/_holds_expiring.sql",
        {"        AND l.created_at < p_standing.ends_at\n": ""},
        (("budgets/test_decision.py::test_the_lapsed_hold_of_a_window_to_come_gives_no_room_now"),),
    ),
    Mutant(
        "a decision does not see what is posted and not folded",
        f"{INTERNAL}/_booked.sql",
        {"o.balance + p.posted": "o.balance"},
        ("budgets/test_budget_status.py::test_it_says_what_the_next_decision_goes_by",),
    ),
    Mutant(
        "what earlier windows of a balance came to counts in each",
        f"{INTERNAL}/_booked.sql",
        {"b.member = p_member AND b.starts_at = p_starts_at": "b.member = p_member"},
        ("budgets/test_windows.py::test_a_window_opens_by_itself_when_its_time_has_come",),
    ),
    Mutant(
        "what is posted to other windows counts",
        f"{INTERNAL}/_booked.sql",
        {"t.member = p_member AND t.starts_at = p_starts_at": "t.member = p_member"},
        (("budgets/test_decision.py::test_what_is_posted_to_a_window_to_come_leaves_this_one_its_room"),),
    ),
    Mutant(
        "the balances of other members count",
        f"{INTERNAL}/_booked.sql",
        {"b.budget = p_budget AND b.member = p_member AND": "b.budget = p_budget AND"},
        ("budgets/test_decision.py::test_members_have_nothing_to_do_with_each_other",),
    ),
    Mutant(
        "what is posted to other members counts",
        f"{INTERNAL}/_booked.sql",
        {"t.budget = p_budget AND t.member = p_member AND": "t.budget = p_budget AND"},
        ("budgets/test_decision.py::test_members_have_nothing_to_do_with_each_other",),
    ),
    Mutant(
        "what fits exactly needs no room in its slot",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"<= v_standing.limit_amount OR NOT": "< v_standing.limit_amount OR NOT"},
        ("budgets/test_decision.py::test_what_fits_exactly_needs_room_in_its_slot_too",),
    ),
    Mutant(
        "a budget that warns refuses",
        f"{INTERNAL}/_verdict.sql",
        {"            OR NOT v_standing.blocks\n": ""},
        ("budgets/test_several_budgets.py::test_a_budget_that_warns_refuses_nothing_and_escalates",),
        series="core",
    ),
    Mutant(
        "room in one budget is enough",
        f"{INTERNAL}/_verdict.sql",
        {"CONTINUE WHEN v_missing <= 0": "EXIT WHEN v_missing <= 0"},
        ("budgets/test_several_budgets.py::test_the_budget_that_refused_is_named",),
        series="core",
    ),
    Mutant(
        "of several that refuse, the one that waits shortest is named",
        f"{INTERNAL}/_verdict.sql",
        {"'infinity') > coalesce(": "'infinity') < coalesce("},
        ("budgets/test_several_budgets.py::test_the_budget_that_refused_is_named",),
        series="core",
    ),
    Mutant(
        "who asks for nothing is refused by every budget",
        f"{INTERNAL}/_verdict.sql",
        {"\n            OR (p_amount = 0 AND v_standing.budget <> 'daily');": ";"},
        ("budgets/test_several_budgets.py::test_who_asks_for_nothing_is_refused_by_the_day_alone",),
        series="core",
    ),
    Mutant(
        "an extend asks in the windows that run",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"coalesce(v_standing.starts_at, v_now)": "v_now"},
        ("budgets/test_windows.py::test_an_extend_asks_in_the_window_of_its_hold",),
    ),
    Mutant(
        "an inactive budget refuses",
        f"{INTERNAL}/_members_of.sql",
        {"WHERE b.is_active AND (": "WHERE ("},
        ("budgets/test_set_budget.py::test_an_inactive_budget_refuses_nothing_and_counts_nothing",),
    ),
    Mutant(
        "the day is not the first of the budgets",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"ORDER BY m.budget <> 'daily', m.budget, m.member": "ORDER BY m.budget, m.member"},
        ("budgets/test_decision.py::test_the_day_is_the_one_that_grants",),
    ),
    Mutant(
        "a budget for one member limits all",
        f"{INTERNAL}/_members_of.sql",
        {"b.member = m.member OR (b.member IS NULL AND m.member IS NOT NULL)": "m.member IS NOT NULL"},
        ("budgets/test_dimensions.py::test_one_member_alone",),
    ),
    Mutant(
        "a budget for each member has one for those who are none",
        f"{INTERNAL}/_members_of.sql",
        {"(b.member IS NULL AND m.member IS NOT NULL)": "b.member IS NULL"},
        ("budgets/test_dimensions.py::test_who_has_no_such_key_is_not_limited",),
    ),
    Mutant(
        "days follow the zone of the limits, whatever the budget's",
        f"{INTERNAL}/_window_at.sql",
        {"(p_budget).timezone)": "NULL)"},
        ("budgets/test_windows.py::test_a_changed_zone_moves_the_days_that_follow_it",),
    ),
    Mutant(
        "a raise never ends",
        f"{INTERNAL}/_limit_in_force.sql",
        {"p_now < p_until": "p_until IS NOT NULL"},
        ("budgets/test_raises.py::test_a_raise_ends_by_itself",),
    ),
    Mutant(
        "a raise ends after its last instant",
        f"{INTERNAL}/_limit_in_force.sql",
        {"p_now < p_until": "p_now <= p_until"},
        ("budgets/test_raises.py::test_a_raise_ends_by_itself",),
    ),
    Mutant(
        "the limit of the day is another one than that of the limits",
        f"{INTERNAL}/_standings_by_balances.sql",
        {"v_now), v_policy.emergency_kill\n": "v_now), 100\n"},
        ("budgets/test_set_budget.py::test_the_limit_of_the_day_is_that_of_the_limits_at_once",),
    ),
]

THRESHOLDS = [
    Mutant(
        "thresholds count holds that have lapsed",
        f"{INTERNAL}/_escalate_thresholds.sql",
        {"CONTINUE WHEN v_reached.amount > v_total;": ""},
        ("budgets/test_several_budgets.py::test_what_has_lapsed_reaches_no_threshold",),
    ),
    Mutant(
        "a threshold that is reached exactly is not",
        f"{INTERNAL}/_escalate_thresholds.sql",
        {"t.amount <= c.total": "t.amount < c.total"},
        ("budgets/test_several_budgets.py::test_soft_limits_escalate_once_for_a_window_and_member",),
    ),
    Mutant(
        "a threshold is told once, whatever the window",
        f"{INTERNAL}/_escalate_thresholds.sql",
        {
            "coalesce(budget._iso(v_reached.starts_at), 'ever')": "'ever'",
            "coalesce(budget._iso(p.starts_at), 'ever')": "'ever'",
        },
        ("budgets/test_several_budgets.py::test_soft_limits_escalate_once_for_a_window_and_member",),
    ),
    Mutant(
        "a threshold is told of one member alone",
        f"{INTERNAL}/_escalate_thresholds.sql",
        {"ARRAY[b.name, p.member, ": "ARRAY[b.name, "},
        ("budgets/test_several_budgets.py::test_soft_limits_escalate_once_for_a_window_and_member",),
    ),
]

STANDING = [
    Mutant(
        "budget_status gives no lapsed hold back",
        f"{INTERNAL}/_all_standings.sql",
        {"v_policy.on_expiry = 'release'": "v_policy.on_expiry = 'released'"},
        ("budgets/test_budget_status.py::test_spent_held_and_remaining_are_the_limit",),
    ),
    Mutant(
        "budget_status does not know what nobody asked for yet",
        f"{INTERNAL}/_all_standings.sql",
        {
            ("WHEN c.is_open OR w.ends_at > w.counted_from THEN coalesce(c.amount, 0)"): (
                "WHEN c.is_open THEN coalesce(c.amount, 0)\n                WHEN w.ends_at > w.counted_from THEN 0"
            )
        },
        ("budgets/test_budget_status.py::test_spend_that_nobody_asked_for_yet_is_there",),
    ),
    Mutant(
        "budget_status shows every member of every window",
        f"{INTERNAL}/_all_standings.sql",
        {"AS c ON w.name = c.budget AND w.starts_at = c.starts_at": "AS c ON w.name = c.budget"},
        ("budgets/test_budget_status.py::test_members_of_an_ended_window_are_gone",),
    ),
    Mutant(
        "budget_status adds what is held to what is spent",
        "views/budget_status.sql",
        {"    s.spent,\n": "    s.spent + s.held AS spent,\n"},
        ("budgets/test_budget_status.py::test_spent_held_and_remaining_are_the_limit",),
    ),
]

MUTANTS = [
    *LEDGER,
    *WINDOWS,
    *ADMINISTRATION,
    *PRUNING,
    *DRIFT,
    *ROOM,
    *BATCHES,
    *POSTINGS,
    *LOCKS,
    *DECISIONS,
    *THRESHOLDS,
    *STANDING,
]
