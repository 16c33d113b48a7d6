"""The mistakes that somebody could make in this SQL, and the tests that must notice each of them."""

from __future__ import annotations

from tests.mutants.mutate import Mutant

INTERNAL = "functions/_internal"
BESIDE = "border/test_remedy_that_deadlocks_with_callers.py"
UNMENDED = "border/test_fresh_migration_mends_nothing.py::"

LOCKS = [
    Mutant(
        "reserve takes a table lock that others can take too",
        f"{INTERNAL}/_serialise.sql",
        {"IN SHARE ROW EXCLUSIVE MODE;": "IN ROW EXCLUSIVE MODE;"},
        (
            "concurrency/test_mutual_exclusion.py::test_a_decision_waits_for_an_open_one_and_then_sees_what_it_committed",
        ),
    ),
    Mutant(
        "reserve_advisory takes no advisory lock",
        f"{INTERNAL}/_serialise.sql",
        {"PERFORM pg_advisory_xact_lock(8099550711184319860);": ""},
        (
            "concurrency/test_mutual_exclusion.py::test_a_decision_waits_for_an_open_one_and_then_sees_what_it_committed",
        ),
    ),
    Mutant(
        "the advisory lock is only tried for",
        f"{INTERNAL}/_serialise.sql",
        {"pg_advisory_xact_lock(": "pg_try_advisory_xact_lock("},
        ("concurrency/test_mutual_exclusion.py::test_a_queue_of_decisions_is_let_through_one_by_one",),
    ),
    Mutant(
        "the advisory lock is the session's, not the transaction's",
        f"{INTERNAL}/_serialise.sql",
        {"pg_advisory_xact_lock(": "pg_advisory_lock("},
        ("sql/test_reserve_advisory.py::test_locks_until_the_end_of_the_transaction",),
    ),
    Mutant(
        "reserve_advisory forgets ROW EXCLUSIVE on the ledger, so that it decides beside a table lock",
        f"{INTERNAL}/_serialise.sql",
        {"LOCK TABLE public.cost_tracking IN ROW EXCLUSIVE MODE;": ""},
        (
            "concurrency/test_mutual_exclusion.py::test_a_decision_waits_for_an_open_one_and_then_sees_what_it_committed",
        ),
    ),
    Mutant(
        "the sum is taken before the lock",
        f"{INTERNAL}/_reserve.sql",
        {
            "v_decision := budget._serialise(\n        p_lock, ": (
                "SELECT budget._now() AS decided_at, budget._require_config() AS config INTO v_decision;\n"
                "    v_postings := ("
            ),
            "_posting]\n    );": "_posting]);",
            "    v_decision record;": "    v_decision record; v_postings budget._posting[];",
            "    PERFORM budget._end": "    PERFORM budget._serialise(p_lock, v_postings); PERFORM budget._end",
        },
        (
            "concurrency/test_mutual_exclusion.py::test_a_decision_waits_for_an_open_one_and_then_sees_what_it_committed",
        ),
    ),
    Mutant(
        "what comes after the lock has the snapshot of one statement",
        f"{INTERNAL}/_admit.sql",
        {"VOLATILE\n": "STABLE\n"},
        ("concurrency/test_same_id.py::test_an_id_that_a_plain_insert_takes_meanwhile_is_not_reserved",),
    ),
    Mutant(
        "reserve locks and sums in one statement, so that its sum has the snapshot from before the lock",
        f"{INTERNAL}/_reserve.sql",
        {
            "    v_verdict := budget._admit(\n        v_decision.config,": (
                "    v_verdict := budget._admit(\n        (budget._serialise(p_lock, NULL)).config,"
            ),
            "v_decision.decided_at": "budget._now()",
            "    v_decision := ": "    IF false THEN v_decision := ",
            "_posting]\n    );": "_posting]); END IF;",
        },
        (
            "concurrency/test_mutual_exclusion.py::test_a_decision_waits_for_an_open_one_and_then_sees_what_it_committed",
        ),
        beside={f"{INTERNAL}/_admit.sql": {"VOLATILE\n": "STABLE\n"}},
    ),
    Mutant(
        "extend locks and sums in one statement, so that its sum has the snapshot from before the lock",
        "functions/extend.sql",
        {
            "    v_decision := ": "    IF false THEN v_decision := ",
            "    v_now := v_decision.decided_at;": "    END IF; v_now := budget._now();",
            "v_config := v_decision.config;": "v_config := budget._require_config();",
            "budget._decide(\n        v_config,": "budget._decide((budget._serialise('advisory', NULL)).config,",
        },
        ("concurrency/test_mutual_exclusion.py::test_an_extension_is_a_decision_too",),
    ),
    Mutant(
        "any isolation level is taken",
        f"{INTERNAL}/_begin_decision.sql",
        {"<> 'read committed'": "= 'read uncommitted'"},
        ("sql/test_isolation.py::test_decisions_are_refused_at_higher_levels",),
    ),
    Mutant(
        "SERIALIZABLE is taken for good enough",
        f"{INTERNAL}/_begin_decision.sql",
        {"<> 'read committed'": "NOT IN ('read committed', 'serializable')"},
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
        {
            "    v_decision := ": "    IF false THEN v_decision := ",
            "    v_now := v_decision.decided_at;": "    END IF; v_now := budget._now();",
            "v_config := v_decision.config;": "v_config := budget._require_config();",
        },
        ("concurrency/test_mutual_exclusion.py::test_an_extension_is_a_decision_too",),
    ),
    Mutant(
        "extend takes the decision lock before its own row",
        "functions/extend.sql",
        {
            # What is posted chooses no lock in this series, so that nothing need be known of the row.
            "    v_row := ": "    PERFORM budget._serialise('advisory', NULL); v_row := ",
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
        {"PERFORM set_config('lock_timeout', p_lock_timeout, true);": "NULL;"},
        ("sql/test_transaction_settings.py::test_the_callers_lock_timeout_is_left_as_it_was",),
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
        f"{INTERNAL}/_serialise.sql",
        {
            "    decided_at := budget._now();": "",
            "\nBEGIN\n": "\nBEGIN decided_at := budget._now();\n",
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
        f"{INTERNAL}/_headroom.sql",
        {"l.created_at < v_window.ends_at": "l.created_at <= v_window.ends_at"},
        ("sql/test_time_zones.py::test_the_callers_time_zone_changes_nothing",),
    ),
    Mutant(
        "the day's first instant is not counted",
        f"{INTERNAL}/_headroom.sql",
        {"l.created_at >= v_window.starts_at": "l.created_at > v_window.starts_at"},
        ("sql/test_time_zones.py::test_the_callers_time_zone_changes_nothing",),
    ),
    Mutant(
        "a day is always 24 hours",
        f"{INTERNAL}/_window.sql",
        {
            "budget._day_start(day + 1, p_zone);\n    --": "starts_at + interval '24 hours';\n    --",
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
        f"{INTERNAL}/_window.sql",
        {"SET timezone = 'UTC'\n": ""},
        ("sql/test_time_zones.py::test_the_callers_time_zone_changes_nothing",),
    ),
    Mutant(
        "the day is the server's, not that of the zone in force",
        f"{INTERNAL}/_headroom.sql",
        {"p_config.timezone)": "'UTC')"},
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
        f"{INTERNAL}/_headroom.sql",
        {"coalesce(p_hold.created_at, p_now)": "p_now"},
        ("sql/test_extend.py::test_the_day_that_admitted_it_is_not_todays_to_crowd",),
    ),
]

SUM = [
    Mutant(
        "what fits exactly is refused",
        f"{INTERNAL}/_headroom.sql",
        {"v_missing <= 0": "v_missing < 0"},
        ("sql/test_reserve.py::test_verdict",),
    ),
    Mutant(
        "the estimate itself is not counted",
        f"{INTERNAL}/_headroom.sql",
        {"v_missing := p_amount - v_counted": "v_missing := - v_counted"},
        ("sql/test_reserve.py::test_verdict",),
    ),
    Mutant(
        "open holds are not counted",
        f"{INTERNAL}/_headroom.sql",
        {"l.expires_at IS NULL OR l.expires_at > v_lapsed": "l.expires_at IS NULL"},
        ("sql/test_reserve.py::test_verdict",),
    ),
    Mutant(
        "a lapsed hold counts until the sweeper comes",
        f"{INTERNAL}/_headroom.sql",
        {"l.expires_at IS NULL OR l.expires_at > v_lapsed": "true"},
        ("sql/test_reserve.py::test_a_lapsed_hold_counts_nothing_from_its_instant_on",),
    ),
    Mutant(
        "a hold still counts at the instant it lapses",
        f"{INTERNAL}/_headroom.sql",
        {"l.expires_at > v_lapsed": "l.expires_at >= v_lapsed"},
        ("sql/test_reserve.py::test_a_lapsed_hold_counts_nothing_from_its_instant_on",),
    ),
    Mutant(
        "on_expiry = keep is forgotten",
        f"{INTERNAL}/_headroom.sql",
        {"WHEN 'keep' THEN '-infinity'": "WHEN 'kept' THEN '-infinity'"},
        ("sql/test_reserve.py::test_a_lapsed_hold_stays_spent_where_the_limits_say_keep",),
    ),
    Mutant(
        "a hold that is extended counts twice",
        f"{INTERNAL}/_headroom.sql",
        {"p_amount - v_counted - v_verdict": "p_amount - v_verdict"},
        ("sql/test_extend.py::test_its_own_estimate_counts_once",),
    ),
    Mutant(
        "a lapsed hold is revived without room",
        f"{INTERNAL}/_counted.sql",
        {"p_row.expires_at <= p_now AND": "false AND"},
        ("sql/test_extend.py::test_a_lapsed_hold_is_not_revived_without_room",),
    ),
    Mutant(
        "the holds that lapse last are counted first",
        f"{INTERNAL}/_freed.sql",
        {"ORDER BY l.expires_at": "ORDER BY l.expires_at DESC"},
        ("sql/test_reserve.py::test_verdict",),
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
        f"{INTERNAL}/_money.sql",
        {"ceil(": "round("},
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
        f"{INTERNAL}/_money.sql",
        {
            "p_amount >= 0 AND p_amount < 1e15": "p_amount >= 0",
            "IF v_amount < 1e15 THEN": "IF v_amount < 1e15 OR v_amount = 'NaN' THEN",
        },
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
        {"> 65536 THEN": "> 1e9 THEN"},
        ("sql/test_arguments.py::test_metadata_that_is_refused",),
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
        {" AND v_seconds <= 86400": ""},
        ("sql/test_arguments.py::test_times_to_live_that_are_refused",),
    ),
]

LIMITS = [
    Mutant(
        "a broken configuration fails open",
        f"{INTERNAL}/_require_config.sql",
        {"IF v_config.error IS NOT NULL THEN": "IF false THEN"},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "a missing emergency_kill means no limit",
        f"{INTERNAL}/_parse_config.sql",
        {
            "WHEN NOT v_limits ? 'emergency_kill' THEN 'emergency_kill is missing'": "",
            "(v_limits ->> 'emergency_kill')::numeric": "coalesce((v_limits ->> 'emergency_kill')::numeric, 1e9)",
        },
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "caps need not be in order",
        f"{INTERNAL}/_parse_config.sql",
        {"OR v_config.daily_hard_cap > v_config.emergency_kill": ""},
        ("sql/test_broken_configuration.py::test_refuses_decisions_and_lets_spend_through",),
    ),
    Mutant(
        "the limits are read before the lock",
        f"{INTERNAL}/_serialise.sql",
        {
            "    config := budget._require_config();": "",
            "\nBEGIN\n": "\nBEGIN config := budget._require_config();\n",
        },
        ("concurrency/test_limits_race.py::test_a_decision_goes_by_what_was_committed_while_it_waited",),
    ),
    Mutant(
        "a freeze is not asked for",
        f"{INTERNAL}/_decide.sql",
        {"IF p_config.frozen THEN": "IF false THEN"},
        ("sql/test_freeze.py::test_refuses_everyone_whatever_the_estimate",),
    ),
    Mutant(
        "exempt services go on while frozen",
        f"{INTERNAL}/_decide.sql",
        {"IF p_config.frozen THEN": "IF p_config.frozen AND NOT p_config.exempt_services ? p_service_name THEN"},
        ("sql/test_freeze.py::test_refuses_everyone_whatever_the_estimate",),
    ),
    Mutant(
        "a freeze that was damaged by hand is none",
        f"{INTERNAL}/_read_config.sql",
        {"c.key = 'budget_freeze'": "c.key = 'budget_freeze' AND c.value LIKE '%reason%'"},
        ("sql/test_freeze.py::test_a_switch_that_was_thrown_by_hand_freezes_whatever_it_says",),
    ),
    Mutant(
        "no service is exempt",
        f"{INTERNAL}/_decide.sql",
        {"p_config.exempt_services ? p_service_name": "false"},
        ("sql/test_reserve.py::test_an_exempt_service_is_refused_by_no_limit_but_counts",),
    ),
    Mutant(
        "services whose name only begins like an exempt one are exempt",
        f"{INTERNAL}/_decide.sql",
        {
            "p_config.exempt_services ? p_service_name": (
                "EXISTS (SELECT FROM jsonb_array_elements_text(p_config.exempt_services) AS e (name)"
                " WHERE starts_with(p_service_name, e.name))"
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
        f"{INTERNAL}/_admit.sql",
        {"IF p_reservation_id IS NOT NULL THEN": "IF false THEN"},
        ("sql/test_reserve.py::test_the_same_arguments_are_a_replay",),
    ),
    Mutant(
        "an id that another writer took meanwhile is said to be reserved",
        f"{INTERNAL}/_insert_hold.sql",
        {"RETURN NULL;": "RETURN p_id;"},
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
        {"coalesce(p_row.expires_at > p_now, false)": "true"},
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
        f"{INTERNAL}/_settled.sql",
        {"IF p_row.cost <> p_actual THEN": "IF false THEN"},
        ("sql/test_settle.py::test_another_amount_is_an_error_that_shows_both",),
    ),
    Mutant(
        "settling again overwrites, but for the trigger",
        f"{INTERNAL}/_settled.sql",
        {"IF p_row.metadata ->> 'type' <> 'actual' THEN": "IF true THEN"},
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
        f"{INTERNAL}/_total_after.sql",
        {"p_config.error IS NOT NULL OR": "true OR"},
        ("sql/test_settle.py::test_over_limit_says_that_this_spend_left_the_day_above_it",),
    ),
    Mutant(
        "a day at its limit is over it",
        f"{INTERNAL}/_over_limit.sql",
        {"p_total > p_config": "p_total >= p_config"},
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
            "        OLD.metadata ->> 'type' = 'reservation'\n        OR NEW": "        false AND NEW",
            "        OR (OLD.metadata ?": "        AND (OLD.metadata ?",
        },
        ("sql/test_direct_writers.py::test_what_the_states_forbid_is_rejected",),
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
        f"{INTERNAL}/_escalate_once.sql",
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
        f"{INTERNAL}/_escalate_caps.sql",
        {"p_total < least(": "p_total <= least("},
        ("sql/test_escalations.py::test_every_cap_that_the_day_has_reached",),
    ),
    Mutant(
        "a refusal is not escalated",
        f"{INTERNAL}/_admit.sql",
        {
            "PERFORM budget._escalate_refusal(": "PERFORM format('%s %s %s %s %s %s %s', ",
        },
        ("sql/test_escalations.py::test_every_kind_of_refusal_is_one",),
    ),
    Mutant(
        "an overrun is not escalated",
        f"{INTERNAL}/_escalate_spend.sql",
        {"IF budget._over_limit(p_config, p_total) THEN": "IF false THEN"},
        ("sql/test_escalations.py::test_spend_that_leaves_the_day_over_its_limit",),
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
        {"p_budget_status = 'hard_cap_exceeded'": "p_budget_status = 'hard_cap'"},
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
        f"{INTERNAL}/_insert_hold.sql",
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
