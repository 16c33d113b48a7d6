"""The parts of the comparison: each has a run, a file of results, and tables, charts and targets of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from rich.progress import Progress

from tests.bench import budgets, cases
from tests.bench.backends import hot_updates, memory
from tests.bench.chart import BUDGETS_CHARTS, CORE_CHARTS, Charts, draw
from tests.bench.ledgers import Ledgers, bench_server
from tests.bench.machine import fsync_us, machine, server_facts
from tests.bench.results import Results
from tests.bench.rounds import Case, measure
from tests.bench.steps import profile
from tests.bench.tables import Table, budgets_tables, core_tables
from tests.bench.targets import BUDGETS_TARGETS, CORE_TARGETS, Target


class Plan(Protocol):
    """How large a run is."""

    @property
    def name(self) -> str: ...

    @property
    def old_rows(self) -> int: ...

    def with_rounds(self, rounds: int | None) -> Any: ...

    def cases(self) -> Iterator[Case]: ...


AnyPlan = TypeVar("AnyPlan", bound=Plan)


@dataclass(frozen=True)
class Part(Generic[AnyPlan]):
    """What is measured together, and how it is shown. `beside` measures what is no case."""

    file: str
    full: AnyPlan
    quick: AnyPlan
    beside: Callable[[Ledgers, AnyPlan], dict[str, Any]]
    tables: Callable[[Results], Iterable[Table]]
    charts: Charts
    targets: tuple[Target, ...]

    def run(self, plan: AnyPlan, file: Path) -> None:
        """Measure all there is and write it into the file, which is complete up to the case that runs."""
        results = Results({"date": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC", "scale": plan.name})
        data = results.data
        data["machine"] = machine()
        with bench_server() as server, Ledgers(server, plan.old_rows) as ledgers, Progress(transient=True) as progress:
            data["server"] = server_facts(server, ledgers["core"].connection)
            data["fsync"] = fsync_us(server.data_dir)
            cases = list(plan.cases())
            task = progress.add_task("", total=len(cases) + 1)
            data["cases"] = []
            for case in cases:
                progress.update(task, description=str(case))
                data["cases"].append(measure(ledgers, case))
                results.save(file)
                progress.advance(task)
            progress.update(task, description="one backend")
            data |= self.beside(ledgers, plan)
            results.save(file)

    def draw(self, results: Results, folder: Path) -> list[Path]:
        """Draw every chart into a folder; return the files."""
        return draw(self.charts, results, folder)


def _one_backend(ledgers: Ledgers, scale: cases.Scale) -> dict[str, Any]:
    middle = scale.rows[1]
    profiles = (
        *(("reserve_advisory", rows, False) for rows in scale.rows),
        ("reserve_advisory", middle, True),
        ("handover", middle, False),
    )
    return {
        "hot_updates": [hot_updates(ledgers, kind, middle, scale.pairs) for kind in ("core", "core, plain index")],
        "memory": [memory(ledgers, kind, scale.memory_pairs) for kind in ("handover", "core")],
        "profiles": [
            profile(ledgers, subject, rows, in_transaction=whole, calls=scale.calls[0], rounds=scale.samples)
            for subject, rows, whole in profiles
        ],
    }


def _steps(ledgers: Ledgers, scale: budgets.BudgetsScale) -> dict[str, Any]:
    return {
        "profiles": [
            profile(ledgers, subject, scale.rows[0], in_transaction=whole, calls=scale.calls[0], rounds=scale.rounds)
            for subject in ("reserve_advisory", "budgets")
            for whole in (False, True)
        ]
    }


CORE = Part("result.json", cases.FULL, cases.QUICK, _one_backend, core_tables, CORE_CHARTS, CORE_TARGETS)
BUDGETS = Part("budgets.json", budgets.FULL, budgets.QUICK, _steps, budgets_tables, BUDGETS_CHARTS, BUDGETS_TARGETS)
PARTS: dict[str, Part[Any]] = {"core": CORE, "budgets": BUDGETS}
