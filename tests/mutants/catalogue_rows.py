"""What must be noticed where the ledger's rows and columns are the application's own: tests/border."""

from __future__ import annotations

from functools import partial

from tests.mutants import mutate

INTERNAL = "functions/_internal"
Mutant = mutate.Mutant
OfBudgets = partial(mutate.Mutant, series="budgets")

NOT_KEPT = "border/test_trigger_that_swallows_or_moves_the_row.py"
NUMBERS = "border/test_number_that_two_clients_write_differently.py"
ODD = "border/test_row_of_the_year_294276.py"
ALERTS = "border/test_alert_of_a_month_that_repeats_every_day.py"

MUTANTS = [
    Mutant(
        "a lapsed hold that a trigger leaves as it is counts as marked",
        "functions/expire.sql",
        {"IF v_marked.not_kept IS NOT NULL THEN": "IF false THEN"},
        (f"{NOT_KEPT}::test_a_lapsed_hold_that_cannot_be_marked",),
    ),
    Mutant(
        "an earlier hold of the work order that a trigger leaves as it is counts as cancelled",
        "functions/_internal/_cancel_order_holds.sql",
        {"        PERFORM budget._require_kept(v_asked, v_row);\n": ""},
        (f"{NOT_KEPT}::test_a_work_order_whose_earlier_hold_cannot_be_cancelled",),
    ),
    Mutant(
        "times that are rounded are not widened",
        "migrations/0002.pgbudget_tables.sql",
        {"IN ('cost', 'created_at', 'expires_at')": "IN ('cost')"},
        ("border/test_ledger_with_three_decimal_timestamps.py::test_the_day_is_not_spent_again_at_its_end",),
    ),
    Mutant(
        "a hold is granted that a trigger has changed",
        f"{INTERNAL}/_insert_hold.sql",
        {"PERFORM budget._require_kept(v_asked, v_row);": ""},
        (f"{NOT_KEPT}::test_an_insert_that_is_not_kept",),
    ),
    Mutant(
        "a row that a trigger has put into a child table is taken for another's",
        f"{INTERNAL}/_is_taken.sql",
        {"FROM ONLY public": "FROM public"},
        (f"{NOT_KEPT}::test_a_ledger_that_is_partitioned_the_old_way",),
    ),
    Mutant(
        "spend is taken for booked that a trigger has changed",
        "functions/record.sql",
        {"PERFORM budget._require_kept(v_asked, v_row);": ""},
        (f"{NOT_KEPT}::test_an_insert_that_is_not_kept",),
    ),
    *(
        Mutant(
            f"{function} does not look at what was kept",
            f"functions/{function}.sql",
            {f"PERFORM budget._require_kept(v_asked, {row});": ""},
            (f"{NOT_KEPT}::test_an_update_that_is_not_kept",),
        )
        for function, row in (("settle", "v_row"), ("cancel", "v_row"), ("extend", "v_extended"))
    ),
    OfBudgets(
        "a batch is granted whose rows a trigger has changed",
        f"{INTERNAL}/_admit_all.sql",
        {"WHERE h.created_at = p_now AND h.cost = (h.metadata ->> 'requested_cost')::numeric;": ";"},
        (f"{NOT_KEPT}::test_a_batch_is_kept_or_not_done",),
    ),
    OfBudgets(
        "a batch is settled that a trigger has swallowed",
        "functions/settle_many.sql",
        {"IF v_count < cardinality(v_open) THEN": "IF false THEN"},
        (f"{NOT_KEPT}::test_a_batch_is_kept_or_not_done",),
    ),
    Mutant(
        "7 and 7.0 are two members",
        f"{INTERNAL}/_member.sql",
        {"trim_scale((p_request -> p_dimension)::numeric)::text": "p_request ->> p_dimension"},
        (f"{NUMBERS}::test_whose_it_is",),
    ),
    OfBudgets(
        "what an update moved is added up by jsonb's equality",
        f"{INTERNAL}/_post.sql",
        {
            "budget._request(n.metadata)::text AS request": "budget._request(n.metadata) AS request",
            "budget._request(o.metadata)::text,": "budget._request(o.metadata),",
        },
        (f"{NUMBERS}::test_a_batch_leaves_no_balance_that_is_not_the_sum_of_its_rows",),
    ),
    Mutant(
        "every finite instant has a day",
        f"{INTERNAL}/_window.sql",
        {"budget._has_day(p_at) IS NOT TRUE": "NOT isfinite(p_at)"},
        (f"{ODD}::test_no_reader_is_stopped",),
    ),
    Mutant(
        "a direct hold may have an expiry that never comes",
        "migrations/0002.pgbudget_tables.sql",
        {"AND expires_at < timestamptz '9999-01-01 00:00:00+00'": ""},
        (f"{ODD}::test_a_hold_that_never_lapses_is_refused",),
    ),
    OfBudgets(
        "a hold at no time is taken out of a total when it lapses",
        f"{INTERNAL}/_lapsed.sql",
        {"        AND isfinite(l.created_at) -- else it is in no balance\n": ""},
        (f"{ODD}::test_a_total_has_no_more_room_for_a_hold_that_was_never_in_it",),
    ),
    Mutant(
        "a hold at no time frees room by lapsing",
        f"{INTERNAL}/_freed.sql",
        {"            AND isfinite(l.created_at)\n": ""},
        (f"{ODD}::test_a_hold_at_no_time_frees_nothing_by_lapsing",),
    ),
    Mutant(
        "who extends after the day is told to wait for its end",
        f"{INTERNAL}/_headroom.sql",
        {"CASE WHEN v_verdict.resets_at > p_now THEN v_verdict.resets_at END": "v_verdict.resets_at"},
        ("border/test_retry_at_of_a_window_that_has_ended.py::test_exhausted",),
    ),
    OfBudgets(
        "postings have no replica identity",
        "migrations/0001.pgbudget_budgets_tables.sql",
        {"ALTER TABLE budget.postings REPLICA IDENTITY FULL;": ""},
        ("border/test_publication_for_all_tables.py::test_every_call_goes_on",),
    ),
    Mutant(
        "the parts of a subject are joined by a word that may stand in them",
        f"{INTERNAL}/_escalate_once.sql",
        {"p_work_order_id, p_subject)::text": "p_work_order_id, array_to_string(p_subject, ', '))::text"},
        (f"{ALERTS}::test_refusals_are_told_apart",),
    ),
    Mutant(
        "a refusal is told once, whoever is the member",
        f"{INTERNAL}/_escalate_refusal.sql",
        {"ARRAY[v_who, v_member]": "ARRAY[v_who]"},
        (f"{ALERTS}::test_refusals_are_told_apart",),
    ),
    Mutant(
        "the first refusal of a budget is not told after a thousand of others",
        f"{INTERNAL}/_escalate_once.sql",
        {"v_of_window || left(md5(p_budget), 8)": "v_of_window || left(md5(''), 8)"},
        (f"{ALERTS}::test_the_first_refusal_of_each_budget_is_told_also_after_a_thousand",),
    ),
    OfBudgets(
        "a threshold is told every day",
        f"{INTERNAL}/_escalate_balance.sql",
        {"coalesce(budget._iso(p_match.starts_at), 'ever')": "budget._iso(date_trunc('day', budget._now(), 'UTC'))"},
        (f"{ALERTS}::test_a_threshold_is_told_once_a_window",),
    ),
    OfBudgets(
        "one statement tells of all members",
        f"{INTERNAL}/_post.sql",
        {" AND v_told < c_most": ""},
        (f"{ALERTS}::test_one_statement_tells_of_a_hundred_members",),
    ),
]
