"""The mistakes that somebody could make in the series `budgets`, and the tests that must notice each of them."""

from __future__ import annotations

from functools import partial

from tests.mutants import mutate

INTERNAL = "functions/_internal"

Mutant = partial(mutate.Mutant, series="budgets")

LEDGER = [
    Mutant(
        "what is deleted from the ledger is posted nowhere",
        "migrations/0004.pgbudget_budgets_takeover.sql",
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
        f"{INTERNAL}/_period.sql",
        {"v_first + ('1 ' || p_period)": "v_first + replace('1 ' || p_period, '1 month', '31 days')"},
        ("budgets/test_windows.py::test_a_window",),
    ),
    Mutant(
        "weeks and months begin in UTC",
        f"{INTERNAL}/_period.sql",
        {"budget._day_start(v_first, p_zone)": "budget._day_start(v_first, 'UTC')"},
        ("budgets/test_windows.py::test_a_window",),
    ),
    Mutant(
        "windows are cut in the caller's time zone",
        f"{INTERNAL}/_period.sql",
        {"SET timezone = 'UTC'\n": ""},
        ("budgets/test_windows.py::test_a_window",),
    ),
    Mutant(
        "a row that has no day is posted",
        f"{INTERNAL}/_period.sql",
        {"IF NOT isfinite(p_at) THEN": "IF false THEN"},
        ("budgets/test_windows.py::test_what_has_no_time_is_in_no_window",),
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
        {"IF (budget._parse_config(v_old)).timezone = (": "IF false AND (budget._parse_config(v_old)).timezone = ("},
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
        {"PERFORM budget._rebuild(v_config, p_name);": ""},
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
        {"WHERE b.ends_at <= v_before RETURNING": "WHERE b.starts_at <= v_before RETURNING"},
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
        {"PERFORM budget._fold(v_match, true);": ""},
        ("budgets/test_prune.py::test_what_nobody_reserves_from_is_folded",),
    ),
    Mutant(
        "prune folds what was posted under its own slot alone",
        "functions/prune.sql",
        {"budget._fold(v_match, true)": "budget._fold(v_match, false)"},
        ("budgets/test_prune.py::test_what_nobody_reserves_from_is_folded",),
    ),
    Mutant(
        "prune goes on beside the writers of the ledger",
        "functions/prune.sql",
        {"PERFORM budget._lock_ledger();": ""},
        ("budgets/test_set_budget.py::test_it_does_not_wait_for_ever_for_writers_of_the_ledger",),
    ),
    Mutant(
        "who was never asked for is taken to have spent nothing, though the window was pruned",
        f"{INTERNAL}/_unopened.sql",
        {"IF p_ends_at > (": "IF true OR p_ends_at > ("},
        ("budgets/test_prune.py::test_pruned_members_are_opened_again_from_the_ledger",),
    ),
    Mutant(
        "who comes new is looked for in the whole window",
        f"{INTERNAL}/_unopened.sql",
        {"IF p_ends_at > (": "IF false AND p_ends_at > ("},
        ("budgets/test_windows.py::test_a_member_that_comes_new_into_a_long_window_is_not_looked_for_in_all_of_it",),
    ),
]

DRIFT = [
    Mutant(
        "reconcile reports, and mends nothing",
        "functions/reconcile.sql",
        {", reconcile.ledger\n": ", reconcile.balance\n"},
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
        {"WHEN p_match.slot THEN p_match.limit_amount - v_total": "WHEN p_match.slot THEN p_match.limit_amount"},
        ("budgets/test_raises.py::test_a_raise_ends_by_itself",),
    ),
    Mutant(
        "the own slot gets no more than the others",
        f"{INTERNAL}/_spread_room.sql",
        {
            "THEN p_match.limit_amount - v_total - (p_match.slots - 1) * v_share": "THEN v_share",
        },
        ("budgets/test_raises.py::test_a_raise_ends_by_itself",),
    ),
    Mutant(
        "whose limit is spread is not kept",
        f"{INTERNAL}/_spread_room.sql",
        {"WHEN 0 THEN p_match.limit_amount ELSE 0 END\n    WHERE": "WHEN 0 THEN b.room_of ELSE 0 END\n    WHERE"},
        ("budgets/test_raises.py::test_a_raise_ends_by_itself",),
    ),
    Mutant(
        "room is spread where there is none",
        f"{INTERNAL}/_spread_room.sql",
        {"IF v_rest < 0 THEN": "IF false THEN"},
        ("budgets/test_raises.py::test_a_raise_ends_by_itself",),
    ),
]

BATCHES = [
    Mutant(
        "what comes after a refusal has no verdict",
        "functions/reserve_many.sql",
        {
            "RETURN NEXT v_verdict;": "RETURN NEXT v_verdict; EXIT WHEN NOT v_verdict.can_proceed;",
        },
        ("budgets/test_reserve_many.py::test_each_is_granted_while_the_room_lasts",),
    ),
    Mutant(
        "a batch is reserved one by one",
        "functions/reserve_many.sql",
        {"IF v_last > v_first THEN": "IF false THEN"},
        ("budgets/test_reserve_many.py::test_a_batch_that_fits_is_one_instant_and_one_posting_to_each_budget",),
    ),
    Mutant(
        "a batch that does not fit is refused as a whole",
        "functions/reserve_many.sql",
        {"v_size := (v_last - v_first + 1) / 2;": "EXIT;"},
        ("budgets/test_reserve_many.py::test_each_is_granted_while_the_room_lasts",),
    ),
    Mutant(
        "a batch locks nothing",
        "functions/reserve_many.sql",
        {"budget._serialise('advisory', v_asked.postings)": "budget._serialise('advisory', '{}')"},
        ("budgets/test_batch_races.py::test_a_batch_waits_for_an_open_decision_and_then_sees_it",),
    ),
    Mutant(
        "each of a batch is held against what was there before it",
        f"{INTERNAL}/_admit_all.sql",
        {"v_before + v_match.amount > v_match": "v_before > v_match"},
        ("budgets/test_reserve_many.py::test_each_is_granted_while_the_room_lasts",),
    ),
    Mutant(
        "the verdicts of a batch do not count what it was granted before",
        f"{INTERNAL}/_admit_all.sql",
        {"sum(u.amount) OVER (ORDER BY u.n) - u.amount": "0::numeric"},
        ("budgets/test_reserve_many.py::test_a_batch_that_fits_is_one_instant_and_one_posting_to_each_budget",),
    ),
    Mutant(
        "verdicts come in the order of their ids",
        f"{INTERNAL}/_admit_all.sql",
        {"    ) AS r\n    ORDER BY r.n;": "    ) AS r\n    ORDER BY r.id;"},
        ("budgets/test_reserve_many.py::test_a_batch_that_fits_is_one_instant_and_one_posting_to_each_budget",),
    ),
    Mutant(
        "a batch is inserted in the order given, and waits for another that has its ids in another",
        f"{INTERNAL}/_admit_all.sql",
        {"        ORDER BY r.id -- ": "        ORDER BY r.n -- "},
        ("budgets/test_batch_races.py::test_ids_in_opposite_orders_are_no_deadlock",),
    ),
    Mutant(
        "an id that stands in a batch twice is granted twice",
        f"{INTERNAL}/_admit_all.sql",
        {"IF v_held < cardinality(p_ids) THEN": "IF false THEN"},
        ("budgets/test_reserve_many.py::test_an_id_with_other_arguments_undoes_the_batch",),
    ),
    Mutant(
        "a freeze does not stop a batch",
        f"{INTERNAL}/_admit_all.sql",
        {"IF p_config.frozen OR ": "IF "},
        ("budgets/test_reserve_many.py::test_a_freeze_refuses_it_all",),
    ),
    Mutant(
        "a batch counts the largest of its requests alone",
        f"{INTERNAL}/_matching.sql",
        {"sum(p.amount)": "max(p.amount)"},
        ("budgets/test_reserve_many.py::test_each_is_granted_while_the_room_lasts",),
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
        {"sum(s.more) + ": "0 + "},
        ("budgets/test_settle_many.py::test_over_limit_goes_by_the_day_as_the_whole_batch_leaves_it",),
    ),
]

POSTINGS = [
    Mutant(
        "an update posts what it wrote, and does not take back what was there",
        f"{INTERNAL}/_post.sql",
        {"-o.cost\n                FROM old_rows AS o\n": "-o.cost\n                FROM old_rows AS o WHERE false\n"},
        ("budgets/test_dimensions.py::test_whatever_is_written_to_the_ledger_is_in_the_balances",),
    ),
    Mutant(
        "what is deleted is posted as if it were spent",
        f"{INTERNAL}/_post.sql",
        {"-o.cost)::budget._posting": "o.cost)::budget._posting"},
        ("budgets/test_dimensions.py::test_whatever_is_written_to_the_ledger_is_in_the_balances",),
    ),
    Mutant(
        "what is written is posted to the window that runs",
        f"{INTERNAL}/_post.sql",
        {"n.created_at, n.cost)::budget._posting": "NULL, n.cost)::budget._posting"},
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
        {"v_told := v_told + budget._escalate_balance(v_config, v_match)::integer;": "NULL;"},
        ("budgets/test_several_budgets.py::test_soft_limits_escalate_once_for_a_window_and_member",),
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
        {"PERFORM budget._insert_posting(p_match, v_amount);": "NULL;"},
        ("budgets/test_slots.py::test_room_that_is_gone_is_missing_from_every_slot",),
    ),
    Mutant(
        "whoever folds its own postings folds those of all",
        f"{INTERNAL}/_take_postings.sql",
        {"AND (p_whole OR t.slot = p_match.slot)": ""},
        ("budgets/test_folding.py::test_what_was_posted_under_another_slot_is_left_to_it",),
    ),
    Mutant(
        "what was posted under the own slot is not folded",
        f"{INTERNAL}/_take_postings.sql",
        {"(p_whole OR t.slot = p_match.slot)": "p_whole"},
        ("budgets/test_folding.py::test_the_next_decision_folds_what_was_posted",),
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
        f"{INTERNAL}/_post.sql",
        {"v_match.amount + coalesce(v_piled, 0)": "v_match.amount"},
        ("budgets/test_folding.py::test_where_nobody_reserves_postings_do_not_pile_up",),
    ),
    Mutant(
        "a balance that is opened counts twice what is posted",
        f"{INTERNAL}/_open_balance.sql",
        {"        - budget._posted(": "        - 0 * budget._posted("},
        ("budgets/test_budget_status.py::test_spent_held_and_remaining_are_the_limit",),
    ),
]

LOCKS = [
    Mutant(
        "a decision locks no balance",
        f"{INTERNAL}/_lock_balance.sql",
        {"    FOR NO KEY UPDATE;": ";"},
        ("budgets/test_slots.py::test_decisions_in_one_slot_wait_for_each_other",),
    ),
    Mutant(
        "balances are locked in no order",
        f"{INTERNAL}/_matching.sql",
        {"ORDER BY b.name, m.member, w.starts_at;": "ORDER BY random();"},
        ("budgets/test_batch_races.py::test_budgets_in_any_order_are_no_deadlock",),
    ),
    Mutant(
        "the own slot has room enough, whatever it has",
        f"{INTERNAL}/_take_room.sql",
        {"IF v_missing <= 0 THEN": "IF true THEN"},
        ("budgets/test_slots.py::test_room_that_is_gone_is_missing_from_every_slot",),
    ),
    Mutant(
        "what was spent without asking takes no room",
        f"{INTERNAL}/_take_room.sql",
        {"        + v_unfolded.amount\n": ""},
        ("budgets/test_slots.py::test_room_that_is_gone_is_missing_from_every_slot",),
    ),
    Mutant(
        "what was spent past the limit takes no room",
        f"{INTERNAL}/_take_room.sql",
        {"        + greatest(0, -base.room)\n": ""},
        ("budgets/test_slots.py::test_room_that_is_gone_is_missing_from_every_slot",),
    ),
    Mutant(
        "a lowered limit takes no room",
        f"{INTERNAL}/_take_room.sql",
        {"        + greatest(0, base.room_of - p_match.limit_amount)\n": ""},
        ("budgets/test_slots.py::test_room_that_is_gone_is_missing_from_every_slot",),
    ),
    Mutant(
        "a slot takes room from those above it",
        f"{INTERNAL}/_take_room.sql",
        {"AND b.slot < p_match.slot": "AND b.slot <> p_match.slot"},
        ("budgets/test_slots.py::test_and_where_that_is_short_too_all_is_spread_anew",),
    ),
    Mutant(
        "a slot waits for room that another decision holds",
        f"{INTERNAL}/_take_room.sql",
        {"UPDATE SKIP LOCKED;": "UPDATE;"},
        ("budgets/test_slots.py::test_a_slot_that_another_decision_holds_is_left_out",),
    ),
    Mutant(
        "room that is taken stays where it was too",
        f"{INTERNAL}/_take_room.sql",
        {"THEN v_missing ELSE -v_missing END": "THEN v_missing ELSE 0 END"},
        ("budgets/test_slots.py::test_a_slot_that_is_short_takes_room_from_below",),
    ),
    Mutant(
        "postings under a slot from which nobody reserves pile up",
        f"{INTERNAL}/_take_room.sql",
        {"IF v_unfolded.postings > 100 * p_match.slots THEN": "IF false THEN"},
        ("budgets/test_folding.py::test_what_is_posted_under_a_slot_from_which_nobody_reserves_is_folded_by_others",),
    ),
    Mutant(
        "room goes by the limits from before the wait",
        f"{INTERNAL}/_serialise.sql",
        {"IF config IS DISTINCT FROM v_before": "IF false"},
        ("budgets/test_slots.py::test_limits_that_change_while_a_decision_waits_are_those_of_its_room",),
    ),
    Mutant(
        "the limits are read before the lock, in budgets",
        f"{INTERNAL}/_serialise.sql",
        {"            config := budget._require_config();\n": "            config := v_before;\n"},
        ("concurrency/test_limits_race.py::test_a_decision_goes_by_what_was_committed_while_it_waited",),
    ),
    Mutant(
        "a decision that waited into the next window holds the lock of the last",
        f"{INTERNAL}/_serialise.sql",
        {"AND decided_at >= v_ends_at": "AND false"},
        ("budgets/test_slots.py::test_a_decision_that_waited_into_the_next_window_keeps_others_waiting_there",),
    ),
    Mutant(
        "a raise that ended while decisions waited is given to all of them",
        f"{INTERNAL}/_serialise.sql",
        {"                    v_has_shares\n": "                    false\n"},
        ("budgets/test_raise_races.py::test_a_raise_that_has_ended_is_given_to_nobody",),
    ),
    Mutant(
        "lapsed holds are never marked by those who reserve",
        f"{INTERNAL}/_reclaim.sql",
        {"PERFORM budget.expire(1000);": "NULL;"},
        ("budgets/test_folding.py::test_more_lapsed_holds_than_a_hundred_are_marked_by_the_next_decision",),
    ),
]

DECISIONS = [
    Mutant(
        "a lapsed hold counts until it is marked",
        f"{INTERNAL}/_balance.sql",
        {"p_config.on_expiry = 'release'\n": "false\n"},
        ("budgets/test_windows.py::test_a_lapsed_hold_counts_nothing_marked_or_not",),
    ),
    Mutant(
        "a lapsed hold counts nothing though the limits say keep",
        f"{INTERNAL}/_balance.sql",
        {"p_config.on_expiry = 'release'\n": "true\n"},
        ("budgets/test_windows.py::test_under_keep_a_lapsed_hold_is_spent",),
    ),
    Mutant(
        "the lapsed holds of others are given back too",
        f"{INTERNAL}/_lapsed.sql",
        {"AND budget._member(p_dimension, l.service_name, budget._request(l.metadata)) = p_member": ""},
        ("budgets/test_dimensions.py::test_a_lapsed_hold_gives_room_to_its_member_alone",),
    ),
    Mutant(
        "the lapsed holds of other windows are given back too",
        f"{INTERNAL}/_lapsed.sql",
        {"        l.created_at >= p_starts_at\n": "        true\n"},
        ("budgets/test_windows.py::test_a_lapsed_hold_gives_room_in_its_window_alone",),
    ),
    Mutant(
        "a decision does not see what is posted and not folded",
        f"{INTERNAL}/_booked.sql",
        {"v_amount + budget._posted(": "v_amount + 0 * budget._posted("},
        ("budgets/test_budget_status.py::test_it_says_what_the_next_decision_goes_by",),
    ),
    Mutant(
        "what fits a budget exactly is refused",
        f"{INTERNAL}/_headroom.sql",
        {"v_missing <= 0": "v_missing < 0"},
        ("budgets/test_several_budgets.py::test_what_fits_all_is_counted_by_all",),
    ),
    Mutant(
        "a budget that warns refuses",
        f"{INTERNAL}/_headroom.sql",
        {"            OR v_match.enforcement = 'warn'\n": ""},
        ("budgets/test_several_budgets.py::test_a_budget_that_warns_refuses_nothing_and_escalates",),
    ),
    Mutant(
        "room in one budget is enough",
        f"{INTERNAL}/_headroom.sql",
        {"(NOT v_one.can_proceed AND v_verdict.can_proceed)": "(v_one.can_proceed AND NOT v_verdict.can_proceed)"},
        ("budgets/test_several_budgets.py::test_the_budget_that_refused_is_named",),
    ),
    Mutant(
        "of several that refuse, the one that waits shortest is named",
        f"{INTERNAL}/_headroom.sql",
        {"'infinity') > coalesce(": "'infinity') < coalesce("},
        ("budgets/test_several_budgets.py::test_the_budget_that_refused_is_named",),
    ),
    Mutant(
        "who asks for nothing is refused by every budget",
        f"{INTERNAL}/_headroom.sql",
        {"OR (p_amount = 0 AND v_match.budget <> 'daily')": ""},
        ("budgets/test_several_budgets.py::test_who_asks_for_nothing_is_refused_by_the_day_alone",),
    ),
    Mutant(
        "an extend asks in the windows that run",
        f"{INTERNAL}/_headroom.sql",
        {"p_hold.created_at,\n                    p_amount": "NULL,\n                    p_amount"},
        ("budgets/test_windows.py::test_an_extend_asks_in_the_window_of_its_hold",),
    ),
    Mutant(
        "an inactive budget refuses",
        f"{INTERNAL}/_matching.sql",
        {"b.is_active AND": ""},
        ("budgets/test_set_budget.py::test_an_inactive_budget_refuses_nothing_and_counts_nothing",),
    ),
    Mutant(
        "a budget for one member limits all",
        f"{INTERNAL}/_matching.sql",
        {"b.member = m.member OR (b.member IS NULL AND m.member IS NOT NULL)": "m.member IS NOT NULL"},
        ("budgets/test_dimensions.py::test_one_member_alone",),
    ),
    Mutant(
        "days follow the zone of the limits, whatever the budget's",
        f"{INTERNAL}/_matching.sql",
        {"coalesce(b.timezone, p_config.timezone)": "p_config.timezone"},
        ("budgets/test_windows.py::test_a_changed_zone_moves_the_days_that_follow_it",),
    ),
    Mutant(
        "a raise never ends",
        f"{INTERNAL}/_limit.sql",
        {"p_now < p_budget.extra_until": "p_budget.extra_until IS NOT NULL"},
        ("budgets/test_raises.py::test_a_raise_ends_by_itself",),
    ),
    Mutant(
        "a raise ends after its last instant",
        f"{INTERNAL}/_limit.sql",
        {"p_now < p_budget.extra_until": "p_now <= p_budget.extra_until"},
        ("budgets/test_raises.py::test_a_raise_ends_by_itself",),
    ),
    Mutant(
        "the limit of the day is another one than that of the limits",
        f"{INTERNAL}/_limit.sql",
        {"RETURN p_config.emergency_kill;": "RETURN 100;"},
        ("budgets/test_set_budget.py::test_the_limit_of_the_day_is_that_of_the_limits_at_once",),
    ),
]

THRESHOLDS = [
    Mutant(
        "thresholds count holds that have lapsed",
        f"{INTERNAL}/_escalate_balance.sql",
        {"CONTINUE WHEN v_reached.amount > v_total;": ""},
        ("budgets/test_several_budgets.py::test_what_has_lapsed_reaches_no_threshold",),
    ),
    Mutant(
        "a threshold that is reached exactly is not",
        f"{INTERNAL}/_escalate_balance.sql",
        {"t.amount <= v_booked": "t.amount < v_booked"},
        ("budgets/test_several_budgets.py::test_soft_limits_escalate_once_for_a_window_and_member",),
    ),
    Mutant(
        "a threshold is told once, whatever the window",
        f"{INTERNAL}/_escalate_balance.sql",
        {"coalesce(budget._iso(p_match.starts_at), 'ever')": "'ever'"},
        ("budgets/test_several_budgets.py::test_soft_limits_escalate_once_for_a_window_and_member",),
    ),
    Mutant(
        "a threshold is told of one member alone",
        f"{INTERNAL}/_escalate_balance.sql",
        {"ARRAY[p_match.budget, p_match.member, ": "ARRAY[p_match.budget, "},
        ("budgets/test_several_budgets.py::test_soft_limits_escalate_once_for_a_window_and_member",),
    ),
]

STANDING = [
    Mutant(
        "budget_status gives no lapsed hold back",
        f"{INTERNAL}/_budget_standing.sql",
        {"v_config.on_expiry = 'release'": "v_config.on_expiry = 'released'"},
        ("budgets/test_budget_status.py::test_spent_held_and_remaining_are_the_limit",),
    ),
    Mutant(
        "budget_status does not know what nobody asked for yet",
        f"{INTERNAL}/_budget_standing.sql",
        {"ELSE budget._unopened(": "ELSE 0 * budget._unopened("},
        ("budgets/test_budget_status.py::test_spend_that_nobody_asked_for_yet_is_there",),
    ),
    Mutant(
        "budget_status shows every member of every window",
        f"{INTERNAL}/_budget_standing.sql",
        {"ON w.name = c.budget AND w.starts_at = c.starts_at": "ON w.name = c.budget"},
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
