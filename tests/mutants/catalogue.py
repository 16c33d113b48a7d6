"""The mistakes that somebody could make in this SQL, and the tests that must notice each of them."""

from __future__ import annotations

from tests.mutants.mutate import Mutant

INTERNAL = "functions/_internal"
BESIDE = "border/test_remedy_that_deadlocks_with_callers.py"
UNMENDED = "border/test_fresh_migration_mends_nothing.py::"

LOCKS = [
    Mutant(
        "reserve takes a table lock that others can take too",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"IN SHARE ROW EXCLUSIVE MODE;": "IN ROW EXCLUSIVE MODE;"},
        (
            "concurrency/test_mutual_exclusion.py::test_a_decision_waits_for_an_open_one_and_then_sees_what_it_committed",
        ),
    ),
    Mutant(
        "reserve_advisory takes no advisory lock",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"PERFORM pg_advisory_xact_lock(8099550711184319860);": ""},
        (
            "concurrency/test_mutual_exclusion.py::test_a_decision_waits_for_an_open_one_and_then_sees_what_it_committed",
        ),
    ),
    Mutant(
        "the advisory lock is only tried for",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"pg_advisory_xact_lock(": "pg_try_advisory_xact_lock("},
        ("concurrency/test_mutual_exclusion.py::test_a_queue_of_decisions_is_let_through_one_by_one",),
    ),
    Mutant(
        "the advisory lock is the session's, not the transaction's",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"pg_advisory_xact_lock(": "pg_advisory_lock("},
        ("sql/test_reserve_advisory.py::test_locks_until_the_end_of_the_transaction",),
    ),
    Mutant(
        ("reserve_advisory forgets ROW EXCLUSIVE on the ledger, so that it decides beside a table lock"),
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;": ""},
        (
            "concurrency/test_mutual_exclusion.py::test_a_decision_waits_for_an_open_one_and_then_sees_what_it_committed",
        ),
    ),
    Mutant(
        "the sum is taken before the lock",
        f"{INTERNAL}/_reserve.sql",
        {
            ("[ROW(v_service_name, v_metadata, NULL, v_estimate)::budget._request], p_lock"): (
                "[ROW(v_service_name, v_metadata, NULL, v_estimate)::budget._request], NULL"
            ),
            "    v_policy budget._policy :=": (
                "    v_locked budget._decision := budget."
                "_standings(\n"
                "        ARRAY[ROW(v_service_name, v_metadata, "
                "NULL, v_estimate)::budget._request], p_lock\n"
                "    );\n"
                "    v_policy budget._policy :="
            ),
        },
        (
            "concurrency/test_mutual_exclusion.py::test_a_decision_waits_for_an_open_one_and_then_sees_what_it_committed",
        ),
    ),
    Mutant(
        "what took the id meanwhile is looked for in the statement that met it",
        f"{INTERNAL}/_reserve.sql",
        {
            ("        INSERT INTO public.cost_tracking AS l ("): (
                "        WITH written AS (INSERT INTO public.cost_tracking AS l ("
            ),
            "RETURNING l.* INTO v_row;": (
                "RETURNING l.*) SELECT r.* INTO v_row\n"
                "        FROM (SELECT w.* FROM written AS w\n"
                "        UNION ALL SELECT l.* FROM public."
                "cost_tracking AS l WHERE l.id = v_hold.id) AS r;"
            ),
            (
                "            v_verdict := budget._reserve(\n"
                "                p_lock, v_estimate, "
                "v_service_name, v_metadata, p_reservation_id, "
                "v_ttl, p_work_order_id\n"
                "            );"
            ): ("            v_verdict := budget._replay(v_estimate, v_service_name, v_metadata, v_row);"),
        },
        ("concurrency/test_same_id.py::test_an_id_that_a_plain_insert_takes_meanwhile_is_not_reserved",),
    ),
    Mutant(
        ("the lock is taken in the statement that sums, so that the sum has the snapshot from before it"),
        f"{INTERNAL}/_standings_by_ledger.sql",
        {
            "PERFORM pg_advisory_xact_lock(8099550711184319860);": "NULL;",
            "    FROM public.cost_tracking AS l\n": (
                "    FROM (\n"
                "        SELECT CASE WHEN p_lock = 'advisory' "
                "THEN pg_advisory_xact_lock(8099550711184319860) "
                "END OFFSET 0\n"
                "    ) AS k\n"
                "    CROSS JOIN public.cost_tracking AS l\n"
            ),
        },
        (
            "concurrency/test_mutual_exclusion.py::test_a_decision_waits_for_an_open_one_and_then_sees_what_it_committed",
        ),
    ),
    Mutant(
        "a check waits for those who reserve",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"    IF p_lock IS NOT NULL THEN\n        BEGIN": "    IF true THEN\n        BEGIN"},
        ("sql/test_check.py::test_does_not_wait_for_those_who_reserve",),
    ),
    Mutant(
        "who has the advisory lock is not named",
        f"{INTERNAL}/_refuse_wait.sql",
        {"k.locktype = 'advisory'\n": "false\n"},
        ("sql/test_decision.py::test_who_waits_in_vain_is_told_for_whom",),
    ),
    Mutant(
        "who has locked the ledger is not named",
        f"{INTERNAL}/_refuse_wait.sql",
        {("k.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')"): "false"},
        ("sql/test_decision.py::test_who_waits_in_vain_is_told_for_whom",),
    ),
    Mutant(
        "who writes the ledger is not named to those who would lock it",
        f"{INTERNAL}/_refuse_wait.sql",
        {
            (
                "\n"
                "                    OR (p_lock = 'table' AND k."
                "mode IN ('RowExclusiveLock', "
                "'ShareUpdateExclusiveLock'))"
            ): ""
        },
        ("sql/test_decision.py::test_who_waits_in_vain_is_told_for_whom",),
    ),
    Mutant(
        "reserve locks the table while an index of it is being built",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"bool_and(i.indisvalid)\n                    AND ": ""},
        (("sql/test_decision.py::test_while_an_index_is_missing_or_invalid_reserve_takes_the_advisory_lock"),),
    ),
    Mutant(
        "reserve locks the table while an index of it is missing",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"AND 2 = count(*)": "AND 1 <= count(*)"},
        (("sql/test_decision.py::test_while_an_index_is_missing_or_invalid_reserve_takes_the_advisory_lock"),),
    ),
    Mutant(
        "extend sums before it locks",
        "functions/extend.sql",
        {
            "        'advisory'\n    );": (
                "        NULL\n"
                "    );\n"
                "    PERFORM budget._standings(ARRAY[ROW('', "
                "'{}', NULL, 0)::budget._request], 'advisory');"
            )
        },
        ("concurrency/test_mutual_exclusion.py::test_an_extension_is_a_decision_too",),
    ),
    Mutant(
        "any isolation level is taken",
        f"{INTERNAL}/_begin_decision.sql",
        {"ELSE budget._refuse_isolation()": "ELSE budget._begin_write()"},
        ("sql/test_isolation.py::test_decisions_are_refused_at_higher_levels",),
    ),
    Mutant(
        "SERIALIZABLE is taken for good enough",
        f"{INTERNAL}/_begin_decision.sql",
        {
            "        ELSE budget._refuse": (
                "        WHEN 'serializable' THEN budget._begin_write()\n        ELSE budget._refuse"
            )
        },
        ("sql/test_isolation.py::test_decisions_are_refused_at_higher_levels",),
    ),
    Mutant(
        "extend decides at any isolation level",
        "functions/extend.sql",
        {"budget._begin_decision()": "budget._begin_write()"},
        ("sql/test_isolation.py::test_decisions_are_refused_at_higher_levels",),
    ),
    Mutant(
        "extend takes no decision lock",
        "functions/extend.sql",
        {"        'advisory'\n": "        NULL\n"},
        ("concurrency/test_mutual_exclusion.py::test_an_extension_is_a_decision_too",),
    ),
    Mutant(
        "extend takes the decision lock before its own row",
        "functions/extend.sql",
        {
            "    v_row public.cost_tracking := ": (
                "    v_first budget._decision := budget."
                "_standings(\n"
                "        ARRAY[ROW('', '{}', NULL, 0)::budget."
                "_request], 'advisory'\n"
                "    );\n"
                "    v_row public.cost_tracking := "
            )
        },
        ("concurrency/test_mutual_exclusion.py::test_who_waits_for_a_hold_keeps_no_decision_waiting",),
    ),
    Mutant(
        "settle and cancel read their row without locking it",
        f"{INTERNAL}/_lock_hold.sql",
        {"    FOR NO KEY UPDATE;": ";"},
        ("concurrency/test_interleavings.py::test_one_hold[settle 6, delete]",),
    ),
    Mutant(
        "the sweeper waits for rows that others hold",
        "functions/expire.sql",
        {" SKIP LOCKED": ""},
        ("sql/test_expire.py::test_skips_a_hold_that_somebody_is_settling",),
    ),
    Mutant(
        "routing waits for rows while it holds the decision lock",
        f"{INTERNAL}/_cancel_order_holds.sql",
        {"NO KEY UPDATE SKIP LOCKED": "NO KEY UPDATE"},
        ("routing/test_routing_again.py::test_a_hold_that_another_session_is_ending_is_left_to_it",),
    ),
    Mutant(
        "the wait for a lock is not bounded",
        f"{INTERNAL}/_begin_write.sql",
        {"SET LOCAL lock_timeout = '5s';": "NULL;"},
        ("sql/test_transaction_settings.py::test_a_wait_is_bounded_by_5_seconds_or_less",),
    ),
    Mutant(
        "the wait for a lock is 5 s, however short the caller's own bound",
        f"{INTERNAL}/_begin_write.sql",
        {"IF v_lock_timeout = '0' OR v_lock_timeout::interval > interval '5 seconds' THEN": "IF true THEN"},
        ("sql/test_transaction_settings.py::test_a_wait_is_bounded_by_5_seconds_or_less",),
    ),
    Mutant(
        "the caller does not get its lock_timeout back",
        f"{INTERNAL}/_end_write.sql",
        {"set_config('lock_timeout', p_lock_timeout, true)": "current_setting('lock_timeout')"},
        ("sql/test_transaction_settings.py::test_the_callers_lock_timeout_is_left_as_it_was",),
    ),
    Mutant(
        "a repeat does not give the caller its lock_timeout back",
        f"{INTERNAL}/_reserve.sql",
        {("v_metadata, v_row);\n        v_lock_timeout := budget._end_write(v_lock_timeout);"): "v_metadata, v_row);"},
        ("sql/test_decision.py::test_a_repeat_leaves_the_lock_timeout_too",),
    ),
    Mutant(
        "whose id was taken meanwhile does not get its lock_timeout back",
        f"{INTERNAL}/_reserve.sql",
        {("            );\n            v_lock_timeout := budget._end_write(v_lock_timeout);"): "            );"},
        ("sql/test_decision.py::test_whose_id_was_taken_meanwhile_gets_its_lock_timeout_back",),
    ),
    Mutant(
        "synchronous_commit stays off",
        f"{INTERNAL}/_begin_write.sql",
        {"SET LOCAL synchronous_commit = on;": "NULL;"},
        ("sql/test_transaction_settings.py::test_what_is_acknowledged_is_durable",),
    ),
    Mutant(
        "synchronous_commit = remote_apply is weakened to on",
        f"{INTERNAL}/_begin_write.sql",
        {"IN ('off', 'local')": "<> 'on'"},
        ("sql/test_transaction_settings.py::test_what_is_acknowledged_is_durable",),
    ),
    Mutant(
        "synchronous_commit = on ends with the function, before the commit",
        f"{INTERNAL}/_begin_write.sql",
        {
            "SET search_path": "SET synchronous_commit = 'on' SET search_path",
        },
        ("sql/test_transaction_settings.py::test_what_is_acknowledged_is_durable",),
    ),
]

TIME = [
    Mutant(
        "the clock is the transaction's now()",
        f"{INTERNAL}/_now.sql",
        {"clock_timestamp()": "now()"},
        ("sql/test_reserve.py::test_a_hold_begins_when_it_is_decided_and_not_with_its_transaction",),
    ),
    Mutant(
        "the clock is read before the lock",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {
            "    v_decision.decided_at := budget._now();\n": "",
            "\nBEGIN\n": "\nBEGIN\n    v_decision.decided_at := budget._now();\n",
        },
        ("concurrency/test_midnight.py::test_a_decision_that_waited_past_midnight_is_of_the_new_day",),
    ),
    Mutant(
        "record reads the clock before it waits",
        "functions/record.sql",
        {"    v_now := budget._now();": "", "    v_now timestamptz;": "    v_now timestamptz := budget._now();"},
        ("concurrency/test_midnight.py::test_spend_that_waited_past_midnight_is_of_the_new_day",),
    ),
    Mutant(
        "the day's last instant is counted in the day before",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"l.created_at < v_day.ends_at": "l.created_at <= v_day.ends_at"},
        ("sql/test_time_zones.py::test_the_callers_time_zone_changes_nothing",),
    ),
    Mutant(
        "the day's first instant is not counted",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"l.created_at >= v_day.starts_at": "l.created_at > v_day.starts_at"},
        ("sql/test_time_zones.py::test_the_callers_time_zone_changes_nothing",),
    ),
    Mutant(
        "a day is always 24 hours",
        f"{INTERNAL}/_day.sql",
        {"(v_midnight + interval '1 day') AT TIME ZONE p_zone;": "starts_at + interval '24 hours';"},
        ("sql/test_time_zones.py::test_a_day_counts_from_its_first_instant_to_its_last",),
    ),
    Mutant(
        "a day of 23 or 25 hours is taken for one like most",
        f"{INTERNAL}/_day.sql",
        {"IF ends_at - starts_at = interval '24 hours'\n        AND ": "IF "},
        ("sql/test_time_zones.py::test_a_day_counts_from_its_first_instant_to_its_last",),
    ),
    Mutant(
        "only its length says that the clocks were not changed",
        f"{INTERNAL}/_day.sql",
        {
            (
                "\n        AND (starts_at - interval '24 hours') AT TIME ZONE p_zone = v_midnight - interval '1 day'\n"
            ): "\n"
        },
        ("sql/test_time_zones.py::test_a_day_counts_from_its_first_instant_to_its_last",),
    ),
    Mutant(
        "a day with two midnights begins at the second",
        f"{INTERNAL}/_day_start.sql",
        {"IF v_first < v_last AND": "IF false AND"},
        ("sql/test_time_zones.py::test_every_day_of_every_zone_begins_with_the_earliest_instant_of_its_date",),
    ),
    Mutant(
        "TimeZone is the caller's",
        f"{INTERNAL}/_day.sql",
        {"SET timezone = 'UTC'\n": ""},
        ("sql/test_time_zones.py::test_the_callers_time_zone_changes_nothing",),
    ),
    Mutant(
        "the day is the server's, not that of the zone in force",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"v_policy.timezone)": "'UTC')"},
        ("sql/test_limits.py::test_days_follow_the_zone_in_force",),
    ),
    Mutant(
        "a POSIX zone, which means its opposite, is taken",
        f"{INTERNAL}/_zone.sql",
        {"p_zone ~ '^[A-Za-z_/-]+$'": "p_zone ~ '^[A-Za-z0-9_/+-]+$'"},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "extend looks for room in today's window, not the hold's",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"coalesce(p_requests[1].created_at, v_decision.decided_at)": "v_decision.decided_at"},
        ("sql/test_extend.py::test_the_day_that_admitted_it_is_not_todays_to_crowd",),
    ),
]

SUM = [
    Mutant(
        "what fits exactly is refused",
        f"{INTERNAL}/_verdict.sql",
        {"v_missing <= 0": "v_missing < 0"},
        (
            "sql/test_reserve.py::test_verdict",
            "budgets/test_several_budgets.py::test_what_fits_all_is_counted_by_all",
        ),
    ),
    Mutant(
        "the estimate itself is not counted",
        f"{INTERNAL}/_verdict.sql",
        {"v_missing := p_amount - v_counted": "v_missing := - v_counted"},
        ("sql/test_reserve.py::test_verdict",),
    ),
    Mutant(
        "open holds are not counted",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"l.expires_at IS NULL OR l.expires_at > v_lapsed": "l.expires_at IS NULL"},
        ("sql/test_reserve.py::test_verdict",),
    ),
    Mutant(
        "a lapsed hold counts until the sweeper comes",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"l.expires_at IS NULL OR l.expires_at > v_lapsed": "true"},
        ("sql/test_reserve.py::test_a_lapsed_hold_counts_nothing_from_its_instant_on",),
    ),
    Mutant(
        "a hold still counts at the instant it lapses",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"l.expires_at > v_lapsed": "l.expires_at >= v_lapsed"},
        ("sql/test_reserve.py::test_a_lapsed_hold_counts_nothing_from_its_instant_on",),
    ),
    Mutant(
        "on_expiry = keep is forgotten",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {"WHEN 'keep' THEN '-infinity'": "WHEN 'kept' THEN '-infinity'"},
        ("sql/test_reserve.py::test_a_lapsed_hold_stays_spent_where_the_limits_say_keep",),
    ),
    Mutant(
        "a hold that is extended counts twice",
        f"{INTERNAL}/_verdict.sql",
        {"p_amount - v_counted - (": "p_amount - ("},
        ("sql/test_extend.py::test_its_own_estimate_counts_once",),
    ),
    Mutant(
        "who extends to what his hold counts already is asked for room",
        f"{INTERNAL}/_verdict.sql",
        {"v_asks_no_more OR ": ""},
        ("sql/test_extend.py::test_a_lapsed_hold_that_is_kept_counts_already",),
    ),
    Mutant(
        "who extends to exactly what his hold counts is asked for room",
        f"{INTERNAL}/_verdict.sql",
        {"p_amount <= v_counted": "p_amount < v_counted"},
        ("sql/test_extend.py::test_a_lapsed_hold_that_is_kept_counts_already",),
    ),
    Mutant(
        "whoever asks for nothing has no need of room",
        f"{INTERNAL}/_verdict.sql",
        {"p_hold.id IS NOT NULL AND ": ""},
        ("sql/test_reserve.py::test_verdict",),
    ),
    Mutant(
        "a lapsed hold is revived without room",
        f"{INTERNAL}/_counted.sql",
        {"(p_row).expires_at <= p_now AND": "false AND"},
        ("sql/test_extend.py::test_a_lapsed_hold_is_not_revived_without_room",),
    ),
    Mutant(
        "a lapsed hold that is kept counts nothing when it is extended",
        f"{INTERNAL}/_counted.sql",
        {" AND (p_policy).on_expiry = 'release'": ""},
        ("sql/test_extend.py::test_a_lapsed_hold_that_is_kept_counts_already",),
    ),
    Mutant(
        "the holds that lapse last are counted first",
        f"{INTERNAL}/_refusal.sql",
        {"ORDER BY l.expires_at": "ORDER BY l.expires_at DESC"},
        ("sql/test_reserve.py::test_verdict",),
    ),
    Mutant(
        "more than the limit is worth another try",
        f"{INTERNAL}/_refusal.sql",
        {"IF p_amount > p_standing.limit_amount THEN": "IF false THEN"},
        ("sql/test_reserve.py::test_verdict",),
    ),
    Mutant(
        "who asks for the limit itself can never have it",
        f"{INTERNAL}/_refusal.sql",
        {"p_amount > p_standing": "p_amount >= p_standing"},
        ("sql/test_decision.py::test_the_limit_itself_is_worth_another_try",),
    ),
    Mutant(
        "a hold that is kept when it lapses is waited for",
        f"{INTERNAL}/_refusal.sql",
        {"IF (p_decision.policy).on_expiry = 'release' THEN": "IF true THEN"},
        ("sql/test_reserve.py::test_a_lapsed_hold_stays_spent_where_the_limits_say_keep",),
    ),
    Mutant(
        "a hold that lapses after the reset is waited for",
        f"{INTERNAL}/_refusal.sql",
        {"least(v_verdict.retry_at, v_hold.expires_at)": "v_hold.expires_at"},
        ("sql/test_reserve.py::test_verdict",),
    ),
    Mutant(
        "what an extend holds itself is in its way",
        f"{INTERNAL}/_refusal.sql",
        {"            AND l.id IS DISTINCT FROM p_except_id\n": ""},
        ("sql/test_decision.py::test_an_extend_is_not_in_its_own_way",),
    ),
    Mutant(
        "holds of other days are in the way",
        f"{INTERNAL}/_refusal.sql",
        {"l.created_at >= p_standing.starts_at": "true"},
        ("sql/test_decision.py::test_holds_of_another_day_free_nothing",),
    ),
    Mutant(
        "holds of days to come are in the way",
        f"{INTERNAL}/_refusal.sql",
        {"l.created_at < p_standing.ends_at": "true"},
        ("sql/test_decision.py::test_holds_of_another_day_free_nothing",),
    ),
    Mutant(
        "status shows lapsed holds as held",
        "views/status.sql",
        {
            "l.expires_at > r.now), 0) AS held": "l.expires_at IS NOT NULL), 0) AS held",
        },
        ("sql/test_status.py::test_lapsed_holds_are_spent_where_the_limits_say_keep",),
    ),
    Mutant(
        "the day is summed without its index",
        "migrations/0006.pgbudget_day_index.sql",
        {"public.cost_tracking (created_at)": "public.cost_tracking (service_name)"},
        ("sql/test_plan.py::test_reads_its_day_alone",),
    ),
]

AMOUNTS = [
    Mutant(
        "amounts are rounded to the nearest, so that a small one is free",
        f"{INTERNAL}/_rounded_money.sql",
        {"ceil(": "round("},
        ("sql/test_arguments.py::test_at_most_12_decimals_are_stored_rounded_up",),
    ),
    Mutant(
        "amounts of many decimals are stored as they are",
        f"{INTERNAL}/_money.sql",
        {" AND scale(p_amount) <= 12": ""},
        ("sql/test_arguments.py::test_at_most_12_decimals_are_stored_rounded_up",),
    ),
    Mutant(
        "a negative amount is taken",
        f"{INTERNAL}/_money.sql",
        {"p_amount >= 0 AND p_amount < 1e15": "p_amount < 1e15"},
        ("sql/test_arguments.py::test_amounts_out_of_range",),
    ),
    Mutant(
        "NaN is taken",
        f"{INTERNAL}/_rounded_money.sql",
        {
            "p_amount >= 0 AND p_amount < 1e15": "p_amount >= 0",
            "IF v_amount < 1e15 THEN": "IF v_amount < 1e15 OR v_amount = 'NaN' THEN",
        },
        ("sql/test_arguments.py::test_amounts_out_of_range",),
    ),
    Mutant(
        "a negative amount of many decimals is taken",
        f"{INTERNAL}/_rounded_money.sql",
        {"p_amount >= 0 AND ": ""},
        ("sql/test_arguments.py::test_amounts_out_of_range",),
    ),
    Mutant(
        "what is rounded up to 1e15 is taken",
        f"{INTERNAL}/_rounded_money.sql",
        {"IF v_amount < 1e15 THEN": "IF true THEN"},
        ("sql/test_arguments.py::test_amounts_out_of_range",),
    ),
    Mutant(
        "1e15 is taken",
        f"{INTERNAL}/_money.sql",
        {" AND p_amount < 1e15": ""},
        ("sql/test_arguments.py::test_amounts_out_of_range",),
    ),
    Mutant(
        "a cost column of four decimals is left as it is",
        "migrations/0002.pgbudget_tables.sql",
        {"IN ('cost', 'created_at', 'expires_at')": "IN ('created_at', 'expires_at')"},
        ("sql/test_arguments.py::test_a_cost_column_of_four_decimals_is_widened_so_that_small_amounts_count",),
    ),
    Mutant(
        "direct writers may write a negative cost",
        "migrations/0002.pgbudget_tables.sql",
        {"CHECK (cost >= 0 AND cost < 1e15)": "CHECK (cost < 1e15)"},
        ("sql/test_direct_writers.py::test_rows_that_no_sum_could_bear_are_rejected",),
    ),
    Mutant(
        "direct writers may leave a row without a day",
        "migrations/0002.pgbudget_tables.sql",
        {"CHECK (created_at IS NOT NULL)": "CHECK (true)"},
        ("sql/test_direct_writers.py::test_rows_that_no_sum_could_bear_are_rejected",),
    ),
    Mutant(
        "metadata may be of any size",
        f"{INTERNAL}/_metadata.sql",
        {" AND octet_length(p_metadata::text) <= 65536": ""},
        ("sql/test_arguments.py::test_metadata_that_is_refused",),
    ),
    Mutant(
        "metadata may be anything",
        f"{INTERNAL}/_metadata.sql",
        {"jsonb_typeof(p_metadata) = 'object' AND ": ""},
        ("sql/test_arguments.py::test_metadata_that_is_refused",),
    ),
    Mutant(
        "no metadata is refused",
        f"{INTERNAL}/_metadata.sql",
        {"WHEN p_metadata IS NULL THEN '{}'\n": ""},
        ("sql/test_reserve.py::test_no_metadata_and_empty_metadata_are_the_same",),
    ),
    Mutant(
        "a service needs no name",
        f"{INTERNAL}/_service_name.sql",
        {"BETWEEN 1 AND 200": "BETWEEN 0 AND 200"},
        ("sql/test_arguments.py::test_service_names_that_are_refused",),
    ),
    Mutant(
        "a hold may live for ever",
        f"{INTERNAL}/_ttl.sql",
        {" AND extract(EPOCH FROM p_ttl) <= 86400": ""},
        ("sql/test_arguments.py::test_times_to_live_that_are_refused",),
    ),
    Mutant(
        "a hold may be over before it begins",
        f"{INTERNAL}/_ttl.sql",
        {"extract(EPOCH FROM p_ttl) > 0 AND ": ""},
        ("sql/test_arguments.py::test_times_to_live_that_are_refused",),
    ),
]

LIMITS = [
    Mutant(
        "a broken configuration fails open",
        f"{INTERNAL}/_require_policy.sql",
        {"(p_policy).error IS NULL THEN": "true THEN"},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "a missing emergency_kill means no limit",
        f"{INTERNAL}/_parse_policy.sql",
        {
            "WHEN NOT v_limits ? 'emergency_kill' THEN 'emergency_kill is missing'": "",
            "(v_limits ->> 'emergency_kill')::numeric": "coalesce((v_limits ->> 'emergency_kill')::numeric, 1e9)",
        },
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "limits that are not there are limits",
        f"{INTERNAL}/_parse_policy.sql",
        {"WHEN v_limits IS NULL THEN 'system_config has no row with the key budget_limits'": ""},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "limits need not be an object",
        f"{INTERNAL}/_parse_policy.sql",
        {"WHEN jsonb_typeof(v_limits) <> 'object' THEN 'budget_limits must be a JSON object'": ""},
        ("sql/test_decision.py::test_limits_that_only_name_their_key_are_none",),
    ),
    Mutant(
        "daily_soft_cap may be written as text",
        f"{INTERNAL}/_parse_policy.sql",
        {("WHEN jsonb_typeof(v_limits -> 'daily_soft_cap') <> 'number' THEN 'daily_soft_cap must be a number'"): ""},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "daily_hard_cap may be written as text",
        f"{INTERNAL}/_parse_policy.sql",
        {("WHEN jsonb_typeof(v_limits -> 'daily_hard_cap') <> 'number' THEN 'daily_hard_cap must be a number'"): ""},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "emergency_kill may be written as text",
        f"{INTERNAL}/_parse_policy.sql",
        {("WHEN jsonb_typeof(v_limits -> 'emergency_kill') <> 'number' THEN 'emergency_kill must be a number'"): ""},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "a timezone of null is none",
        f"{INTERNAL}/_parse_policy.sql",
        {
            (
                "WHEN jsonb_typeof(v_limits -> 'timezone') <> "
                "'string' THEN 'timezone must be the full name "
                "of a time zone'"
            ): ""
        },
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "a reservation_ttl of null is none",
        f"{INTERNAL}/_parse_policy.sql",
        {
            (
                "WHEN jsonb_typeof(v_limits -> "
                "'reservation_ttl') <> 'string' THEN "
                "'reservation_ttl must be text such as \"1 hour\"'"
            ): ""
        },
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "on_expiry may be anything",
        f"{INTERNAL}/_parse_policy.sql",
        {
            (
                "WHEN v_limits -> 'on_expiry' NOT IN "
                "('\"release\"', '\"keep\"') THEN 'on_expiry must be "
                '"release" or "keep"\''
            ): ""
        },
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "exempt_services may be one name",
        f"{INTERNAL}/_parse_policy.sql",
        {'$.exempt_services.type() != "array" || ': ""},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "exempt_services may hold anything",
        f"{INTERNAL}/_parse_policy.sql",
        {' || $.exempt_services[*].type() != "string"': ""},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "a limit may be below 0",
        f"{INTERNAL}/_parse_policy.sql",
        {("least(v_policy.daily_soft_cap, v_policy.daily_hard_cap, v_policy.emergency_kill) < 0\n            OR "): ""},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "a limit may be 1e15",
        f"{INTERNAL}/_parse_policy.sql",
        {
            (
                "\n"
                "            OR greatest(v_policy."
                "daily_soft_cap, v_policy.daily_hard_cap, "
                "v_policy.emergency_kill) >= 1e15\n"
            ): "\n"
        },
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "the soft cap may be above the hard one",
        f"{INTERNAL}/_parse_policy.sql",
        {("v_policy.daily_soft_cap > coalesce(v_policy.daily_hard_cap, v_policy.emergency_kill)\n            OR "): ""},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "the soft cap may be above the limit where there is no hard one",
        f"{INTERNAL}/_parse_policy.sql",
        {"coalesce(v_policy.daily_hard_cap, v_policy.emergency_kill)": "v_policy.daily_hard_cap"},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "what is no JSON is an error of every caller",
        f"{INTERNAL}/_parse_policy.sql",
        {"WHEN SQLSTATE 'PB005' OR data_exception THEN": "WHEN SQLSTATE 'PB005' THEN"},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "a zone that is none is an error of every caller",
        f"{INTERNAL}/_parse_policy.sql",
        {"WHEN SQLSTATE 'PB005' OR data_exception THEN": "WHEN data_exception THEN"},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "limits that break the order are in force",
        f"{INTERNAL}/_parse_policy.sql",
        {
            (
                "ordered: daily_soft_cap <= daily_hard_cap <= "
                "emergency_kill'\n"
                "    END;\n"
                "    IF v_default.error IS NOT NULL THEN"
            ): ("ordered: daily_soft_cap <= daily_hard_cap <= emergency_kill'\n    END;\n    IF false THEN")
        },
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "limits of the wrong types are in force",
        f"{INTERNAL}/_parse_policy.sql",
        {
            ("exempt_services must be an array of service names'\n    END;\n    IF v_default.error IS NOT NULL THEN"): (
                "exempt_services must be an array of service names'\n    END;\n    IF false THEN"
            )
        },
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "caps need not be in order",
        f"{INTERNAL}/_parse_policy.sql",
        {"\n            OR v_policy.daily_hard_cap > v_policy.emergency_kill\n": "\n"},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "the limits are read before the lock",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {
            "    v_policy := budget._policy_in_force();\n": "",
            "\nBEGIN\n": "\nBEGIN\n    v_policy := budget._policy_in_force();\n",
        },
        ("concurrency/test_limits_race.py::test_a_decision_goes_by_what_was_committed_while_it_waited",),
    ),
    Mutant(
        "a freeze is not asked for",
        f"{INTERNAL}/_verdict.sql",
        {"IF v_policy.frozen THEN": "IF false THEN"},
        ("sql/test_freeze.py::test_refuses_everyone_whatever_the_estimate",),
    ),
    Mutant(
        "exempt services go on while frozen",
        f"{INTERNAL}/_verdict.sql",
        {"IF v_policy.frozen THEN": ("IF v_policy.frozen AND NOT v_policy.exempt_services ? p_service_name THEN")},
        ("sql/test_freeze.py::test_refuses_everyone_whatever_the_estimate",),
    ),
    Mutant(
        "a freeze that was damaged by hand is none",
        f"{INTERNAL}/_policy_in_force.sql",
        {"c.key = 'budget_freeze'": "c.key = 'budget_freeze' AND c.value LIKE '%reason%'"},
        ("sql/test_freeze.py::test_a_switch_that_was_thrown_by_hand_freezes_whatever_it_says",),
    ),
    Mutant(
        "no service is exempt",
        f"{INTERNAL}/_verdict.sql",
        {"v_policy.exempt_services ? p_service_name": "false"},
        ("sql/test_reserve.py::test_an_exempt_service_is_refused_by_no_limit_but_counts",),
    ),
    Mutant(
        "services whose name only begins like an exempt one are exempt",
        f"{INTERNAL}/_verdict.sql",
        {
            "v_policy.exempt_services ? p_service_name": (
                "(EXISTS (SELECT FROM "
                "jsonb_array_elements_text(v_policy."
                "exempt_services) AS e (name) WHERE "
                "starts_with(p_service_name, e.name)))"
            )
        },
        ("sql/test_reserve.py::test_exempt_services_are_those_of_the_limits",),
    ),
    Mutant(
        "two who change limits at once lose each other's keys",
        "functions/set_limits.sql",
        {"PERFORM pg_advisory_xact_lock(hashtextextended('pgbudget/budget_limits', 0));": "", " FOR UPDATE;": ";"},
        ("concurrency/test_limits_race.py::test_a_change_of_limits_waits_for_another_and_keeps_its_keys",),
    ),
    Mutant(
        "set_limits stores what the rules forbid",
        "functions/set_limits.sql",
        {"IF v_error IS NOT NULL THEN": "IF false THEN"},
        ("sql/test_limits.py::test_the_whole_is_checked_and_nothing_is_changed",),
    ),
]

LIFE = [
    Mutant(
        "an id is not looked up: a repeat is no replay",
        f"{INTERNAL}/_reserve.sql",
        {"IF p_reservation_id IS NOT NULL THEN": "IF false THEN"},
        ("sql/test_reserve.py::test_the_same_arguments_are_a_replay",),
    ),
    Mutant(
        "an id that another writer took meanwhile is said to be reserved",
        f"{INTERNAL}/_reserve.sql",
        {
            "IF NOT budget._is_kept(v_hold, v_row) THEN": (
                "IF v_row.id IS NOT NULL AND NOT budget._is_kept(v_hold, v_row) THEN"
            )
        },
        ("concurrency/test_same_id.py::test_an_id_that_a_plain_insert_takes_meanwhile_is_not_reserved",),
    ),
    Mutant(
        "a repeat with other arguments is a replay",
        f"{INTERNAL}/_replay.sql",
        {
            "IF (p_row.metadata ->> 'requested_cost')::numeric IS DISTINCT FROM p_estimate": "IF false",
        },
        ("sql/test_reserve.py::test_other_arguments_are_an_error_that_shows_both",),
    ),
    Mutant(
        "another service may replay a hold",
        f"{INTERNAL}/_replay.sql",
        {
            "OR v_first - 'estimated_cost' <> v_now - 'estimated_cost'": "",
        },
        ("sql/test_reserve.py::test_other_arguments_are_an_error_that_shows_both",),
    ),
    Mutant(
        "a hold that has ended is granted again",
        f"{INTERNAL}/_replay.sql",
        {"IF p_row.expires_at > v_decision.decided_at THEN": "IF true THEN"},
        ("sql/test_reserve.py::test_a_hold_that_has_ended_is_not_granted_again",),
    ),
    Mutant(
        "a replay is held against the extended estimate",
        f"{INTERNAL}/_replay.sql",
        {"IF (p_row.metadata ->> 'requested_cost')": "IF (p_row.metadata ->> 'estimated_cost')"},
        ("sql/test_reserve.py::test_a_replay_is_held_against_the_first_request_and_not_the_extended_one",),
    ),
    Mutant(
        "late spend is not known any more",
        f"{INTERNAL}/_lock_hold.sql",
        {"IN ('actual', 'cancelled', 'expired')": "= 'actual'"},
        ("sql/test_settle.py::test_a_late_settle_is_recorded_in_full",),
    ),
    Mutant(
        "late spend is forbidden by the trigger",
        f"{INTERNAL}/_guard_hold.sql",
        {"'expired>actual', ": ""},
        ("sql/test_settle.py::test_a_late_settle_is_recorded_in_full",),
    ),
    Mutant(
        "late spend is not marked",
        f"{INTERNAL}/_kept_metadata.sql",
        {"OR p_old.expires_at <= p_now)": "OR p_old.expires_at < p_now)"},
        ("sql/test_settle.py::test_late_begins_with_the_instant_of_lapsing",),
    ),
    Mutant(
        "settling again with another amount keeps quiet",
        f"{INTERNAL}/_is_settled.sql",
        {"WHEN (p_row).cost = p_actual THEN true": "WHEN true THEN true"},
        ("sql/test_settle.py::test_another_amount_is_an_error_that_shows_both",),
    ),
    Mutant(
        "settling again overwrites, but for the trigger",
        f"{INTERNAL}/_is_settled.sql",
        {"WHEN (p_row).metadata ->> 'type' <> 'actual' THEN false": "WHEN true THEN false"},
        ("sql/test_settle.py::test_repeating_it_gives_the_same_outcome_and_changes_nothing",),
    ),
    Mutant(
        "the trigger lets a settled cost be overwritten",
        f"{INTERNAL}/_guard_hold.sql",
        {"NEW.cost <> OLD.cost": "false"},
        ("sql/test_direct_writers.py::test_what_the_states_forbid_is_rejected",),
    ),
    Mutant(
        "cancel takes no notice of what is settled, but for the trigger",
        "functions/cancel.sql",
        {"WHEN 'actual' THEN": "WHEN 'never' THEN"},
        ("sql/test_cancel.py::test_what_is_settled_stays_settled",),
    ),
    Mutant(
        "a direct writer may cancel what is settled",
        f"{INTERNAL}/_guard_hold.sql",
        {"'cancelled>actual'": "'cancelled>actual', 'actual>cancelled'"},
        ("sql/test_direct_writers.py::test_what_the_states_forbid_is_rejected",),
    ),
    Mutant(
        "cancelling again replaces the first reason",
        "functions/cancel.sql",
        {"WHEN 'cancelled' THEN": "WHEN 'never' THEN"},
        ("sql/test_cancel.py::test_repeating_it_gives_the_same_outcome_and_the_first_reason_stands",),
    ),
    Mutant(
        "extend revives a hold that has ended",
        "functions/extend.sql",
        {"IF v_row.expires_at IS NULL THEN": "IF false THEN"},
        ("sql/test_extend.py::test_an_ended_hold_is_not_extended",),
    ),
    Mutant(
        "extend adds to the estimate",
        "functions/extend.sql",
        {"coalesce(v_estimate, v_row.cost)": "coalesce(v_estimate, 0) + v_row.cost"},
        ("sql/test_extend.py::test_sets_a_new_total_and_not_an_addition",),
    ),
    Mutant(
        "settling does not see that the day is over its limit",
        "functions/settle.sql",
        {"v_policy.error IS NULL THEN": "false THEN"},
        ("sql/test_settle.py::test_over_limit_says_that_this_spend_left_the_day_above_it",),
    ),
    Mutant(
        "the total after a spend is that before it",
        f"{INTERNAL}/_total_after.sql",
        {".total + p_more;": ".total;"},
        ("sql/test_settle.py::test_over_limit_says_that_this_spend_left_the_day_above_it",),
    ),
    Mutant(
        "a settle is held against all it cost, and not against what it adds to its hold",
        "functions/settle.sql",
        {"v_row.created_at, v_actual - v_counted\n": "v_row.created_at, v_actual\n"},
        ("sql/test_settle.py::test_over_limit_says_that_this_spend_left_the_day_above_it",),
    ),
    Mutant(
        "a day at its limit is over it",
        f"{INTERNAL}/_over_limit.sql",
        {"p_total > (p_policy)": "p_total >= (p_policy)"},
        ("sql/test_settle.py::test_over_limit_says_that_this_spend_left_the_day_above_it",),
    ),
    Mutant(
        "record takes another spend with its id for a repeat",
        f"{INTERNAL}/_recorded.sql",
        {"AND v_row.cost = p_actual": ""},
        ("sql/test_record.py::test_other_arguments_with_the_same_id_are_an_error_that_shows_both",),
    ),
    Mutant(
        "the sweeper frees what is to be kept",
        "functions/expire.sql",
        {".on_expiry = 'keep'": ".on_expiry = 'kept'"},
        ("sql/test_expire.py::test_books_the_estimate_where_the_limits_say_keep",),
    ),
    Mutant(
        "the sweeper takes open holds",
        "functions/expire.sql",
        {"l.expires_at <= v_now": "l.expires_at IS NOT NULL"},
        ("sql/test_expire.py::test_marks_what_has_lapsed_and_nothing_else",),
    ),
    Mutant(
        "nobody guards the ledger against direct writers",
        "migrations/0004.pgbudget_takeover.sql",
        {
            ("            OLD.metadata ->> 'type' = 'reservation'\n            OR NEW"): "            false AND NEW",
            "            OR (OLD.metadata ?": "            AND (OLD.metadata ?",
        },
        ("sql/test_direct_writers.py::test_what_the_states_forbid_is_rejected",),
    ),
    Mutant(
        "spend that becomes a hold is let by the guard",
        "migrations/0004.pgbudget_takeover.sql",
        {"            OR NEW.metadata ->> 'type' = 'reservation'\n": ""},
        ("sql/test_direct_writers.py::test_spend_cannot_become_a_hold",),
    ),
    Mutant(
        "what has ended is let by the guard",
        "migrations/0004.pgbudget_takeover.sql",
        {
            (
                "            OR (OLD.metadata ? 'reserved_at' "
                "AND OLD.metadata ->> 'type' IN ('actual', "
                "'cancelled', 'expired'))\n"
            ): ""
        },
        ("sql/test_direct_writers.py::test_what_the_states_forbid_is_rejected",),
    ),
    Mutant(
        "the settle of a hold that has none of our keys is let by the guard",
        "migrations/0004.pgbudget_takeover.sql",
        {"            AND OLD.metadata ? 'reserved_at'\n": ""},
        ("sql/test_decision.py::test_a_hold_from_before_gets_our_keys_when_it_is_settled",),
    ),
    Mutant(
        "a late settle is let by the guard",
        "migrations/0004.pgbudget_takeover.sql",
        {"            AND OLD.expires_at > clock_timestamp()\n": ""},
        ("sql/test_decision.py::test_what_only_looks_like_a_settle_is_guarded[late]",),
    ),
    Mutant(
        "a cancel that calls itself settled is let by the guard",
        "migrations/0004.pgbudget_takeover.sql",
        {"            AND NEW.metadata ->> 'type' = 'actual'\n": ""},
        (("sql/test_decision.py::test_what_only_looks_like_a_settle_and_is_forbidden[cancelled at a cost]"),),
    ),
    Mutant(
        "a direct settle that does not say when is let by the guard",
        "migrations/0004.pgbudget_takeover.sql",
        {"            AND NEW.metadata ? 'settled_at'\n": ""},
        (("sql/test_decision.py::test_what_only_looks_like_a_settle_is_guarded[without its instant]"),),
    ),
    Mutant(
        "a direct settle that leaves the expiry is let by the guard",
        "migrations/0004.pgbudget_takeover.sql",
        {"            AND NEW.expires_at IS NULL\n": ""},
        (("sql/test_decision.py::test_what_only_looks_like_a_settle_is_guarded[with an expiry]"),),
    ),
    Mutant(
        "a settle that moves the row is let by the guard",
        "migrations/0004.pgbudget_takeover.sql",
        {
            (
                "            AND (NEW.id, NEW.service_name, NEW."
                "created_at) = (OLD.id, OLD.service_name, OLD."
                "created_at)\n"
            ): ""
        },
        ("sql/test_decision.py::test_what_only_looks_like_a_settle_and_is_forbidden",),
    ),
    Mutant(
        "a settle with the marks of another end is let by the guard",
        "migrations/0004.pgbudget_takeover.sql",
        {"            AND NOT NEW.metadata ?| ARRAY['expired_at', 'cancelled_at', 'late']\n": ""},
        (("sql/test_decision.py::test_what_only_looks_like_a_settle_is_guarded[with forged marks]"),),
    ),
    Mutant(
        "a settle that drops what is kept is let by the guard",
        "migrations/0004.pgbudget_takeover.sql",
        {"            AND NEW.metadata @> (OLD.metadata - 'type')\n": ""},
        (("sql/test_decision.py::test_what_only_looks_like_a_settle_is_guarded[without what is kept]"),),
    ),
    Mutant(
        "a settle that adds to what was asked for is let by the guard",
        "migrations/0004.pgbudget_takeover.sql",
        {("            AND (NEW.metadata -> 'original_metadata') = (OLD.metadata -> 'original_metadata')\n"): ""},
        (("sql/test_decision.py::test_what_only_looks_like_a_settle_is_guarded[with more that was asked for]"),),
    ),
    Mutant(
        "settle tells the guard that all is well, whatever it was given",
        "functions/settle.sql",
        {" AND NOT budget._has_kept_key(v_metadata)": ""},
        ("sql/test_decision.py::test_what_settle_is_given_under_our_keys_is_not_kept",),
    ),
    Mutant(
        "settle leaves it to the guard to say when",
        "functions/settle.sql",
        {"IF v_row.expires_at > v_now AND": "IF false AND"},
        ("sql/test_decision.py::test_the_guard_is_not_called_by_an_ordinary_settle",),
    ),
    Mutant(
        "a hold that another writer inserts never lapses",
        "migrations/0004.pgbudget_takeover.sql",
        {"NEW.expires_at IS NULL AND NEW.metadata ->> 'type' = 'reservation'": "false"},
        ("sql/test_direct_writers.py::test_a_hold_that_is_inserted_directly_lapses_like_every_other",),
    ),
]

ESCALATIONS = [
    Mutant(
        "an escalation is written again and again",
        f"{INTERNAL}/_escalation_id.sql",
        {"jsonb_build_array('pgbudget', ": "jsonb_build_array(random(), "},
        ("sql/test_escalations.py::test_once_a_day",),
    ),
    Mutant(
        "an escalation waits for another's open transaction",
        f"{INTERNAL}/_escalate_once.sql",
        {
            "IF NOT pg_try_advisory_xact_lock(": "IF NOT EXISTS (SELECT pg_advisory_xact_lock(",
            "::text, 0)) THEN": "::text, 0))) THEN",
        },
        ("concurrency/test_escalation_race.py::test_nobody_waits_for_an_open_transaction_that_escalated",),
    ),
    Mutant(
        "whatever callers make up is told",
        f"{INTERNAL}/_escalate_once.sql",
        {"IF p_unlisted IS NOT NULL\n": "IF p_unlisted IS NULL\n"},
        (
            "sql/test_escalations.py::test_after_a_thousand_refusals_one_row_says_that_more_are_not_listed",
            "concurrency/test_escalation_race.py::test_nobody_waits_at_the_end_of_the_list",
        ),
    ),
    Mutant(
        "a list goes on from one day to the next",
        f"{INTERNAL}/_escalate_once.sql",
        {") <= rpad(v_of_window, 32, 'f')::uuid": ") IS NOT NULL"},
        ("sql/test_escalations.py::test_what_is_told_of_other_things_shortens_no_list",),
    ),
    Mutant(
        "how many are told is counted in the whole table",
        f"{INTERNAL}/_escalate_once.sql",
        {
            "SET enable_seqscan = off\n": "",
            "ORDER BY e.id\n            LIMIT 1 OFFSET": "ORDER BY e.id::text\n            LIMIT 1 OFFSET",
        },
        ("sql/test_escalations.py::test_how_many_there_are_is_asked_by_the_key",),
    ),
    Mutant(
        "a day exactly at a cap is not escalated",
        f"{INTERNAL}/_reaches_cap.sql",
        {"p_total >= least(": "p_total > least("},
        ("sql/test_escalations.py::test_every_cap_that_the_day_has_reached",),
    ),
    Mutant(
        "a cap that is reached exactly is left out",
        f"{INTERNAL}/_escalate_caps.sql",
        {"c.amount <= p_total": "c.amount < p_total"},
        ("sql/test_escalations.py::test_every_cap_that_the_day_has_reached",),
    ),
    Mutant(
        "an extend reaches no cap",
        "functions/extend.sql",
        {"IF budget._reaches_cap(v_policy, v_day.total) THEN": "IF false THEN"},
        ("sql/test_escalations.py::test_whichever_function_sees_it",),
    ),
    Mutant(
        "a hold does not count for the caps that it reaches",
        f"{INTERNAL}/_reserve.sql",
        {"        v_day.total := v_day.total + v_estimate;\n": ""},
        ("sql/test_escalations.py::test_every_cap_that_the_day_has_reached",),
    ),
    Mutant(
        "a refusal is not escalated",
        f"{INTERNAL}/_reserve.sql",
        {"PERFORM budget._escalate_refusal(": "PERFORM format('%s %s %s %s %s', "},
        ("sql/test_escalations.py::test_every_kind_of_refusal_is_one",),
    ),
    Mutant(
        "an extend that is refused is not escalated",
        "functions/extend.sql",
        {"PERFORM budget._escalate_refusal(": "PERFORM format('%s %s %s %s %s', "},
        ("sql/test_escalations.py::test_every_kind_of_refusal_is_one",),
    ),
    Mutant(
        "an overrun is not escalated",
        f"{INTERNAL}/_escalate_spend.sql",
        {"IF NOT budget._over_limit(p_policy, p_total) THEN": "IF true THEN"},
        ("sql/test_escalations.py::test_spend_that_leaves_the_day_over_its_limit",),
    ),
    Mutant(
        "spend that passes the limit with open holds alone is as grave as spend",
        f"{INTERNAL}/_escalate_spend.sql",
        {"v_is_settled := p_total - v_held >": "v_is_settled := p_total >"},
        ("sql/test_decision.py::test_an_overrun_with_open_holds_is_a_warning",),
    ),
    Mutant(
        "spend that passes the limit by itself is told only once with the holds",
        f"{INTERNAL}/_escalate_spend.sql",
        {("ARRAY['daily', '*', CASE WHEN v_is_settled THEN 'settled' ELSE 'held' END]"): "ARRAY['daily', '*']"},
        ("sql/test_decision.py::test_an_overrun_with_open_holds_is_a_warning",),
    ),
    Mutant(
        "holds of another day make an overrun a warning",
        f"{INTERNAL}/_escalate_spend.sql",
        {("WHERE l.expires_at > v_now AND l.created_at >= v_day.starts_at AND"): "WHERE l.expires_at > v_now AND"},
        ("sql/test_decision.py::test_holds_of_another_day_do_not_soften_an_overrun",),
    ),
]

ROUTING = [
    Mutant(
        "an order is routed without the director",
        "functions/route_work_order.sql",
        {"IF p_approved_by_director IS NOT TRUE THEN": "IF p_approved_by_director IS FALSE THEN"},
        ("routing/test_route_work_order.py::test_an_order_that_is_not_approved_is_not_routed",),
    ),
    Mutant(
        "the hard cap forces nobody",
        f"{INTERNAL}/_choose_proposer.sql",
        {"p_routing_status = 'hard_cap_exceeded'": "p_routing_status = 'hard_cap'"},
        ("routing/test_rules.py::test_the_choice",),
    ),
    Mutant(
        "exempt routing goes on past the kill",
        "functions/route_work_order.sql",
        {"IF v_status = 'emergency_kill' THEN": "IF false THEN"},
        ("routing/test_route_work_order.py::test_exempt_routing_passes_the_limit_but_stops_at_the_kill",),
    ),
    Mutant(
        "routing again leaves the first hold behind",
        f"{INTERNAL}/_cancel_order_holds.sql",
        {"AND l.expires_at > v_now\n": "AND l.expires_at > v_now AND false\n"},
        ("routing/test_routing_again.py::test_the_earlier_hold_is_cancelled",),
    ),
    Mutant(
        "the decision replaces the rest of the order's metadata",
        "functions/route_work_order.sql",
        {"coalesce(w.metadata, '{}') || ": ""},
        ("routing/test_route_work_order.py::test_the_decision_is_stored_beside_what_is_there",),
    ),
    Mutant(
        "a complexity of 1.0 costs as little as one below",
        "functions/estimate.sql",
        {"p_complexity_score >= c_complex_from": "p_complexity_score > c_complex_from"},
        ("sql/test_estimate.py::test_tiers",),
    ),
    Mutant(
        "an unpriced proposer is free",
        f"{INTERNAL}/_price.sql",
        {
            "IF v_price >= 0 THEN": "IF v_price >= 0 OR v_price IS NULL THEN",
            "RETURN v_price;": "RETURN coalesce(v_price, 0);",
        },
        ("sql/test_estimate_tokens.py::test_an_unpriced_proposer_is_never_free",),
    ),
]

RIGHTS = [
    Mutant(
        "search_path is the caller's",
        "functions/settle.sql",
        {"SET search_path = pg_catalog, pg_temp\n": ""},
        ("sql/test_public_functions.py::test_every_function_pins_its_search_path_and_is_kept_from_public",),
    ),
    Mutant(
        "everyone may set the limits",
        "functions/set_limits.sql",
        {"REVOKE ALL ON FUNCTION budget.set_limits(jsonb) FROM PUBLIC;": ""},
        (f"{UNMENDED}test_in_an_empty_database",),
    ),
    Mutant(
        "callers may set the limits",
        "functions/set_limits.sql",
        {
            "TO budget_admin;": "TO budget_admin, budget_caller;",
        },
        ("security/test_grid.py::test_on_plain_postgresql",),
    ),
    Mutant(
        "an internal function may be called",
        f"{INTERNAL}/_standings_by_ledger.sql",
        {
            "REVOKE ALL": "GRANT ALL",
            "FROM PUBLIC;": "TO PUBLIC;",
        },
        (f"{UNMENDED}test_in_an_empty_database",),
    ),
    Mutant(
        "reserve runs with its caller's rights",
        "functions/reserve.sql",
        {"SECURITY DEFINER\n": ""},
        ("sql/test_public_functions.py::test_is_as_documented",),
    ),
    Mutant(
        "row security may hide rows from the sum",
        "functions/reserve.sql",
        {"SET row_security = off\n": ""},
        ("security/test_row_security.py::test_forced_it_is_an_error_or_changes_nothing",),
    ),
]

ATTACKED = "security/test_attackers.py::test_an_attacker_runs_no_code_and_gains_no_right"

FOR_A_WHILE = "security/test_attackers.py::test_nobody_refers_to_a_setting_that_is_there_for_a_while"

UNWATCHED = {
    "rules": {"'system_config') AND r.ev_type IN": "'system_config') AND false AND r.ev_type IN"},
    "children of the tables": {
        "INNER JOIN pg_inherits AS i ON t.oid = i.inhparent": "INNER JOIN pg_inherits AS i ON false"
    },
}
"""What stops a migration as well, for another reason."""

BORDER = [
    Mutant(
        "TRIGGER stays with whoever has it",
        "migrations/0002.pgbudget_tables.sql",
        {
            "EXECUTE format('REVOKE %s ON": "PERFORM format('REVOKE %s ON",
        },
        (f"{UNMENDED}test_over_tables_that_others_may_do_anything_with",),
    ),
    Mutant(
        "a trigger that was being made meanwhile is not looked for under the locks",
        "migrations/0002.pgbudget_tables.sql",
        {"IF FOUND THEN\n        RAISE": "IF false THEN\n        RAISE"},
        ("border/test_trigger_that_is_being_made_while_the_migration_looks.py::test_it_stops_the_migration",),
    ),
    Mutant(
        "the takeover looks no more for code of others",
        "migrations/0004.pgbudget_takeover.sql",
        {"IF FOUND THEN\n        RAISE": "IF false THEN\n        RAISE"},
        ("border/test_trigger_that_is_being_made_while_the_migration_looks.py::test_it_stops_the_migration",),
    ),
    *(
        Mutant(
            f"nobody looks at {what}",
            f"{INTERNAL}/_foreign_code.sql",
            {old: new},
            tuple(f"{ATTACKED}[{case}-before]" for case in cases),
            beside={f"{INTERNAL}/_preflight.sql": UNWATCHED[what]} if what in UNWATCHED else {},
        )
        for what, old, new, *cases in (
            (
                "triggers",
                "ON t.oid = g.tgrelid AND NOT g.tgisinternal",
                "ON t.oid = g.tgrelid AND g.tgisinternal",
                "owns the function of a trigger",
                "owns the function of a trigger's condition",
                "may make triggers",
            ),
            ("rules", "ON t.oid = w.ev_class", "ON t.oid = w.oid", "owns the function of a rule"),
            (
                "defaults",
                "ON t.oid = f.adrelid",
                "ON t.oid = f.oid",
                "owns the function of a default",
                "owns the function of a generated column",
            ),
            (
                "constraints",
                "ON t.oid = k.conrelid",
                "ON t.oid = k.oid",
                "owns the function of a constraint",
                "owns an operator",
            ),
            (
                "indexes",
                "ON t.oid = i.indrelid",
                "ON t.oid = i.indexrelid",
                "owns the function of an index",
                "owns the function of an index's condition",
            ),
            (
                "what refers to the settings",
                "WHERE t.root = 'system_config' AND t.oid = k.confrelid",
                "WHERE t.root = 'system_config' AND t.oid = k.oid",
                "owns the function of a trigger on what refers to the settings",
            ),
            ("operators", "'pg_operator'::regclass, 'pg_type'::regclass)", "'pg_type'::regclass)", "owns an operator"),
            ("the constraints of domains", "AND k.contypid = u.oid", "AND false", "owns the function of a domain"),
            (
                "children of the tables",
                "WHERE t.oid = i.inhparent",
                "WHERE t.oid = i.inhrelid",
                "owns the function of a child's trigger",
            ),
        )
    ),
    Mutant(
        "nobody asks who owns a domain",
        f"{INTERNAL}/_foreign_code.sql",
        {"pg_type AS y WHERE y.typtype = 'd'": "pg_type AS y WHERE false"},
        (f"{ATTACKED}[owns the domain of a column-after]",),
    ),
    Mutant(
        "whoever owns the ledger is trusted unasked",
        f"{INTERNAL}/_foreign_owners.sql",
        {"WHERE r.oid = c_owner AND r.rolname <> current_user": "WHERE false"},
        (f"{ATTACKED}[owns the ledger and the rest-before]",),
    ),
    Mutant(
        "whoever owns another table is trusted unasked",
        f"{INTERNAL}/_foreign_owners.sql",
        {"(o.table_kind IS NULL OR pg_has_role(r.oid, 'USAGE'))": "o.table_kind IS NULL"},
        (f"{ATTACKED}[owns the escalations-after]",),
    ),
    Mutant(
        "an owner of whom nobody said that he is trusted is handed the schema",
        f"{INTERNAL}/_hand_over.sql",
        {"        RETURN;\n": "        NULL;\n"},
        (f"{ATTACKED}[owns the ledger and the rest-before]",),
    ),
    Mutant(
        "what a superuser makes stays his",
        f"{INTERNAL}/_hand_over.sql",
        {"PERFORM budget._in_short_tries('{}', v_statements, 'the schema budget');": "NULL;"},
        ("border/test_superuser_migrates_over_another_owner.py::test_accepted_it_makes_everything_the_owners",),
    ),
    Mutant(
        "a function with our marker is ours, whoever owns it",
        f"{INTERNAL}/_adopted_function.sql",
        {
            "AND p.proowner IN (SELECT n.nspowner FROM pg_namespace AS n WHERE n.nspname = 'budget')": "",
        },
        (f"{ATTACKED}[may create in public-before]",),
    ),
    Mutant(
        "default privileges open the tables that are made",
        "migrations/0002.pgbudget_tables.sql",
        {"EXECUTE format('REVOKE ALL ON %s FROM %s', v_table, v_grantee);": "NULL;"},
        (f"{ATTACKED}[is given what is made-after]",),
    ),
    Mutant(
        "whom row security stopped may reserve after the takeover",
        f"{INTERNAL}/_former_callers.sql",
        {"NOT c.relrowsecurity\n": "true\n"},
        (
            f"{ATTACKED}[is bound by row security-before]",
            "border/test_takeover_gives_a_right_that_nobody_had.py::test_whom_row_security_may_have_stopped_keeps_nothing",
        ),
    ),
    Mutant(
        "the takeover gives authenticated a right",
        f"{INTERNAL}/_former_callers.sql",
        {"NOT IN ('anon', 'authenticated')": "<> 'anon'"},
        ("security/test_grants.py::test_adoption_keeps_who_could_call_and_write_but_never_web_users",),
    ),
    Mutant(
        "the public function is open for a moment",
        "migrations/0004.pgbudget_takeover.sql",
        {
            "acldefault('f', p.proowner))) AS a\n            WHERE\n": (
                "acldefault('f', p.proowner))) AS a\n            WHERE false AND\n"
            )
        },
        ("border/test_function_open_to_public_for_a_moment.py::test_no_statement_opens_anything",),
    ),
    Mutant(
        "the schema may be used before its functions are closed",
        "migrations/0001.pgbudget_schema.sql",
        {
            "REVOKE ALL ON SCHEMA budget FROM PUBLIC;": (
                "REVOKE ALL ON SCHEMA budget FROM PUBLIC; "
                "GRANT USAGE ON SCHEMA budget TO budget_caller, budget_admin, budget_reader;"
            )
        },
        ("border/test_function_open_to_public_for_a_moment.py::test_no_statement_opens_anything",),
    ),
    Mutant(
        "what a remedy has locked it keeps while it waits for more",
        f"{INTERNAL}/_in_short_tries.sql",
        {"interval '250 milliseconds'": "interval '30 seconds'"},
        (f"{BESIDE}::test_who_has_one_of_them_may_go_on_to_all_the_others",),
    ),
    Mutant(
        "a way back has the ledger while it waits for who reads a view",
        "migrations/0003.pgbudget_functions.rollback.sql",
        {"AND c.relkind = 'v'\n": "AND false\n"},
        (f"{BESIDE}::test_a_way_back_waits_for_a_reader_and_no_writer_for_the_way_back",),
    ),
    *(
        Mutant(
            f"others may refer to {what}",
            f"{INTERNAL}/_code_rights.sql",
            {old: new},
            (f"{FOR_A_WHILE}[{right}]",),
        )
        for what, old, new, right in (
            ("the settings", "a.privilege_type = 'REFERENCES' AND", "false AND", "ALL"),
            ("a column of the settings", "WHERE t.attrelid = c.oid", "WHERE false", "REFERENCES (key)"),
        )
    ),
    Mutant(
        "the function of a policy is nobody's code",
        f"{INTERNAL}/_foreign_code.sql",
        {"pg_policy AS p ON t.oid = p.polrelid": "pg_policy AS p ON t.oid = p.oid"},
        ("security/test_attackers.py::test_a_policy_runs_with_no_right_of_an_owner_whom_row_security_binds",),
    ),
    Mutant(
        "the function of extended statistics is nobody's code",
        f"{INTERNAL}/_foreign_code.sql",
        {"pg_statistic_ext AS s ON t.oid = s.stxrelid\n": "pg_statistic_ext AS s ON false\n"},
        ("security/test_attackers.py::test_the_plan_stops_at_statistics_of_anothers_function",),
    ),
    Mutant(
        "a way back asks nobody whose the schema is",
        "migrations/0003.pgbudget_functions.rollback.sql",
        {"IF v_owner IS NOT NULL AND": "IF false AND"},
        (
            "border/test_way_back_over_another_owner.py::test_another_role_is_stopped[0003.pgbudget_functions.rollback.sql]",
        ),
    ),
    Mutant(
        "a rollback takes what row security hides for nothing",
        "migrations/0002.pgbudget_tables.rollback.sql",
        {"\nSET row_security = off;": ""},
        ("border/test_rollback_under_forced_row_security.py::test_what_it_hides_is_kept",),
    ),
    Mutant(
        "a series is built on functions that another role can change",
        "migrations/0001.pgbudget_budgets_tables.sql",
        {"IF v_owner IS NOT NULL AND NOT": "IF false AND NOT"},
        ("security/test_attackers.py::test_each_series_is_refused_over_functions_that_another_role_can_change",),
        series="budgets",
    ),
]

MUTANTS = [*LOCKS, *TIME, *SUM, *AMOUNTS, *LIMITS, *LIFE, *ESCALATIONS, *ROUTING, *RIGHTS, *BORDER]
