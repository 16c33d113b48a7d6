"""The harness works: all of it is run at tiny sizes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.bench import pgbench
from tests.bench.commits import slower_commits
from tests.bench.ledgers import Ledger, Ledgers, bench_server
from tests.bench.parts import BUDGETS, CORE, Part
from tests.bench.results import Results, Spread, difference, ratio
from tests.bench.rounds import percentile
from tests.bench.steps import OUTSIDE, STEPS, WAITING
from tests.bench.subjects import SUBJECTS

pytestmark = pytest.mark.proof

# Who asks for the same run has the same worker, so that it is made once.
OF_CORE, OF_BUDGETS = pytest.mark.xdist_group("bench of core"), pytest.mark.xdist_group("bench of budgets")


def _quick(part: Part[Any], tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A whole run, at tiny sizes."""
    file = tmp_path_factory.mktemp("bench") / part.file
    part.run(part.quick, file)
    return Results.load(file)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return _quick(CORE, tmp_path_factory)


@pytest.fixture(scope="module")
def quick_budgets(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return _quick(BUDGETS, tmp_path_factory)


@pytest.fixture(params=[pytest.param("core", marks=OF_CORE), pytest.param("budgets", marks=OF_BUDGETS)])
def part(request: pytest.FixtureRequest) -> tuple[Part[Any], Results]:
    if request.param == "core":
        return CORE, request.getfixturevalue("quick")
    return BUDGETS, request.getfixturevalue("quick_budgets")


def test_every_subject_of_every_case_is_measured_in_every_round(part: tuple[Part[Any], Results]) -> None:
    planned_cases, cases = list(part[0].quick.cases()), part[1].data["cases"]
    assert [case["case"] for case in cases] == [case.name for case in planned_cases]
    for planned, case in zip(planned_cases, cases, strict=True):
        assert case["commit_delay_us"] == planned.commit_delay_us
        assert list(case["subjects"]) == [entry.name for entry in planned.entries]
        for entry, figures in zip(planned.entries, case["subjects"].values(), strict=True):
            assert (figures["rows"], figures["clients"]) == (entry.load.rows, entry.load.clients)
            assert len(figures["batches"]) == planned.rounds
            for batch in (figures, *figures["batches"]):
                assert min(batch["tps"], batch["cpu_us"]) > 0
                assert 0 < batch["p50_us"] <= batch["p99_us"]


def test_nothing_of_the_wait_at_the_barriers_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    vacuum, wait = Ledger.vacuum, 0.5

    def slow_vacuum(ledger: Ledger) -> None:
        vacuum(ledger)
        time.sleep(wait)

    monkeypatch.setattr(Ledger, "vacuum", slow_vacuum)
    with bench_server() as server, Ledgers(server, old_rows=0) as ledgers:
        ledgers["handover"].fill_today(0)
        batch = pgbench.run(server.bin_dir, ledgers["handover"], SUBJECTS["INSERT"], clients=3, transactions=4)
        stored = ledgers["handover"].connection.execute("SELECT count(*) FROM cost_tracking").fetchone()
    assert stored == (12,)  # the warm-up left nothing
    assert len(batch.latencies_us) == 12
    assert max(batch.latencies_us) < wait * 1e6
    assert batch.tps > 12 / wait


def test_slower_commits_are_slower_for_one_client_too_and_end() -> None:
    delay_us, insert = 5_000, SUBJECTS["INSERT"]
    with bench_server() as server, Ledgers(server, old_rows=0) as ledgers:
        ledger = ledgers["handover"]
        ledger.fill_today(0)

        def least_us() -> int:
            return min(pgbench.run(server.bin_dir, ledger, insert, clients=1, transactions=9).latencies_us)

        with slower_commits(server, delay_us):
            slower = least_us()
        assert slower > delay_us > least_us()


def test_what_a_batch_leaves_is_no_part_of_the_next_ones_day() -> None:
    with bench_server() as server, Ledgers(server, old_rows=0) as ledgers:
        for kind in ("core", "budgets, 8 slots", "3 budgets match"):
            ledger, states = ledgers[kind], []
            for _ in range(2):
                ledger.fill_today(100)
                assert ledger.connection.execute("SELECT * FROM budget.invariants").fetchall() == []
                states.append(ledger.connection.execute("SELECT settled, held FROM budget.status").fetchone())
                ledger.execute("SELECT budget.reserve_advisory(1, 'bench', '{\"team\": \"team-1\"}')")
            assert states[0] == states[1]


@OF_CORE
def test_the_server_is_durable_and_the_run_says_on_what_it_was(quick: Results) -> None:
    settings = quick.data["server"]["settings"]
    assert {settings[name] for name in ("fsync", "full_page_writes", "synchronous_commit")} == {"on"}
    assert quick.data["server"]["filesystem"] != "tmpfs"
    assert all(quick.data["machine"][fact] for fact in ("processor", "cores", "memory_gib", "kernel"))
    assert 0 < quick.data["fsync"]["p50_us"] <= quick.data["fsync"]["p99_us"]


def test_the_profile_knows_what_each_function_is_for(part: tuple[Part[Any], Results]) -> None:
    profiles = part[1].data["profiles"]
    for profile in profiles:
        assert profile["steps"].keys() - {OUTSIDE, WAITING} <= STEPS.keys()
    assert profiles[0]["steps"].keys() >= {
        "lock and clock",
        "configuration",
        "window",
        "sum",
        "insert",
        "escalation check",
    }


@OF_CORE
def test_a_settle_changes_the_days_index_because_that_carries_what_changes(quick: Results) -> None:
    hot = {counts["kind"]: (counts["updates"], counts["hot_updates"]) for counts in quick.data["hot_updates"]}
    pairs = CORE.quick.pairs
    assert hot == {"core": (pairs, 0), "core, plain index": (pairs, pairs)}


@OF_CORE
def test_a_backend_keeps_memory_for_the_functions_and_no_more_of_it_for_more_calls(quick: Results) -> None:
    for kept in quick.data["memory"]:
        before, first, after = (kept[when] for when in ("before", "after_first", "after_all"))
        for figure in ("private_kib", "contexts_kib"):
            assert 0 < before[figure] < first[figure]
            assert before[figure] < after[figure] < first[figure] + 20 * 1024


def test_every_table_and_chart_can_be_shown(part: tuple[Part[Any], Results], tmp_path: Path) -> None:
    own, quick = part
    for table in own.tables(quick):
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.header)}
    for file in own.draw(quick, tmp_path):
        assert ET.parse(file).getroot().tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own
        assert quick.digest in file.read_text("utf-8")


def test_ratios_are_taken_round_by_round() -> None:
    def batches(*values: float) -> dict[str, object]:
        return {"batches": [{"tps": value} for value in values]}

    case = {"subjects": {"a": batches(1, 20, 300), "b": batches(2, 10, 100)}}
    assert ratio(case, "a", "b") == Spread(1.25, 2, 2.5)
    assert difference(case, "a", "b", "tps") == Spread(4.5, 10, 105)


@pytest.mark.parametrize(("share", "value"), [(0, 1), (0.25, 1), (0.26, 2), (0.5, 2), (0.99, 4), (1, 4)])
def test_a_percentile_is_the_least_value_that_the_share_does_not_exceed(share: float, value: int) -> None:
    assert percentile([4, 2, 1, 3], share) == value
