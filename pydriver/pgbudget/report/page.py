"""Facts as pages: every text is escaped, every picture is inline SVG, nothing is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pgbudget.cli._common import age, amount, cents, printable, span

if TYPE_CHECKING:
    from pgbudget.replay import Figures, Log, Plan
    from pgbudget.report.facts import Facts

MOST_SERVICES = 20
MOST_REFUSALS = 100

# A limit that is higher than so many times the highest bar would leave nothing to see of the bars.
_TOO_HIGH = 5
_AIR = Decimal("1.08")


@dataclass(frozen=True)
class Column:
    """A bar of a chart."""

    label: str
    settled: Decimal
    held: Decimal
    refused: int = 0

    @property
    def total(self) -> Decimal:
        """How high it is."""
        return self.settled + self.held


@dataclass(frozen=True)
class Line:
    """A limit across a chart."""

    name: str
    value: Decimal


@dataclass(frozen=True)
class Chart:
    """Bars against limits."""

    title: str
    columns: Sequence[Column]
    lines: Sequence[Line]
    labels: Sequence[tuple[int, str]]
    """Texts under the chart, each with the number of its column."""

    @property
    def top(self) -> Decimal:
        """What the height of the chart stands for."""
        return max([self._highest, *(line.value for line in self.lines if self.fits(line))]) * _AIR or Decimal(1)

    def percent(self, value: Decimal) -> str:
        """Return an amount as a share of the chart's height."""
        return f"{100 * value / self.top:.3f}"

    def fits(self, line: Line) -> bool:
        """Say whether a limit is in the picture."""
        return not self._highest or line.value <= _TOO_HIGH * self._highest

    @property
    def _highest(self) -> Decimal:
        return max((column.total for column in self.columns), default=Decimal(0))


def report_page(facts: Facts) -> str:
    """Return the report as HTML."""
    status = facts.status
    caps = (("soft", status.daily_soft_cap), ("hard", status.daily_hard_cap), ("limit", status.emergency_kill))
    chart = Chart(
        title="Spend per day",
        columns=[Column(f"{day.day}", day.settled, day.held) for day in facts.days],
        lines=[Line(name, value) for name, value in caps if value is not None],
        labels=_labels([f"{day.day:%m-%d}" for day in facts.days]),
    )
    accuracy = facts.accuracy or []
    return (
        _environment()
        .get_template("report.html")
        .render(
            facts=facts,
            chart=chart,
            accuracy=[row for row in accuracy if row.calls],
            unestimated=[row for row in accuracy if row.unestimated],
            most_wrong=max((max(row.over_amount, row.under_amount) for row in accuracy), default=Decimal(0)),
            most_services=MOST_SERVICES,
            most_spent=max((row.settled + row.held for row in facts.services), default=Decimal(0)),
            unreadable=[
                table
                for table, rows in (
                    ("public.cost_tracking", facts.accuracy),
                    ("public.proposer_configs", facts.unpriced),
                )
                if rows is None
            ],
        )
    )


def replay_page(log: Log, plan: Plan, figures: Sequence[Figures]) -> str:
    """Return a replay as HTML."""
    first, last = min(call.at for call in log.calls), max(call.at for call in log.calls)
    form = "%m-%d" if last - first >= timedelta(days=3) else "%m-%d %H:%M"
    charts = []
    for found in figures:
        columns = [
            Column(f"{one.starts_at:%Y-%m-%d %H:%M}", one.settled, one.held, one.refused) for one in found.slices
        ]
        labels = _labels([f"{one.starts_at:{form}}" for one in found.slices])
        charts.append(Chart("The day's total through the log", columns, [Line("limit", found.limit)], labels))
    return (
        _environment()
        .get_template("replay.html")
        .render(
            log=log,
            plan=plan,
            first=first,
            last=last,
            replays=list(zip(figures, charts, strict=True)),
            most=MOST_REFUSALS,
        )
    )


def _labels(names: Sequence[str]) -> list[tuple[int, str]]:
    """Choose the first, the last and the one between: what fits a phone. Each text once."""
    chosen: dict[str, int] = {}
    for number in (0, len(names) // 2, len(names) - 1):
        chosen.setdefault(names[number], number)
    return [(number, name) for name, number in chosen.items()]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pgbudget.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_written_out,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(amount=amount, cents=cents, span=span, age=age, minute=_minute)
    return environment


def _written_out(value: object) -> object:
    """Have every text that a page shows in it without what is not to be seen: the one place for all of them."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
