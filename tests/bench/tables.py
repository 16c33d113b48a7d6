"""The tables of a result, for the terminal and for the page of documentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.table import Table as RichTable

from tests.bench.results import Results, Spread, ratio
from tests.bench.rounds import Figures
from tests.bench.steps import OUTSIDE, STEPS, WAITING
from tests.bench.targets import ADVISORY, HANDOVER, TARGETS

Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table of texts; all columns but the first are figures."""

    name: str
    header: Row
    rows: list[Row] = field(default_factory=list)

    def rich(self) -> RichTable:
        table = RichTable(title=self.name, title_justify="left")
        for number, column in enumerate(self.header):
            table.add_column(column, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        rule = ["---"] + ["---:"] * (len(self.header) - 1)
        return "".join(f"| {' | '.join(row)} |\n" for row in (self.header, rule, *self.rows))


def tables(results: Results) -> Iterator[Table]:
    """All tables whose figures the result has."""
    yield _facts(results)
    if results.data["scale"] == "full":
        yield _targets(results)
    for view in VIEWS:
        yield view.throughput(results)
        yield view.latency(results)
    yield _index(results)
    yield _hot(results)
    yield _memory(results)
    yield steps(results.data["profiles"])


@dataclass(frozen=True)
class View:
    """How a case is shown: the subjects in columns, and the ratios of some of them."""

    name: str
    case: str
    subjects: Row
    ratios: tuple[Row, ...]

    def throughput(self, results: Results) -> Table:
        ratios = [f"{own} / {other}" for own, other in self.ratios]
        table = Table(f"{self.name}: throughput", ("rows in the day", "clients", *_per_second(self.subjects), *ratios))
        for case in results.cases(self.case):
            speeds = [f"{case['subjects'][subject]['tps']:,.0f}" for subject in self.subjects]
            shown = [_spread(ratio(case, own, other)) for own, other in self.ratios]
            table.rows.append((f"{case['rows']:,}", str(case["clients"]), *speeds, *shown))
        return table

    def latency(self, results: Results) -> Table:
        table = Table(f"{self.name}: latency in ms, p50 and p99", ("rows in the day", "clients", *self.subjects))
        for case in results.cases(self.case):
            subjects = [case["subjects"][subject] for subject in self.subjects]
            shown = [f"{_ms(own['p50_us'])} · {_ms(own['p99_us'])}" for own in subjects]
            table.rows.append((f"{case['rows']:,}", str(case["clients"]), *shown))
        return table


VIEWS = (
    View(
        "calls",
        "calls",
        ("INSERT", HANDOVER, "reserve", ADVISORY),
        (("reserve", HANDOVER), (ADVISORY, HANDOVER), (ADVISORY, "INSERT")),
    ),
    View(
        "pairs",
        "pairs",
        ("INSERT + UPDATE", "reserve + settle", f"{ADVISORY} + settle"),
        (("reserve + settle", "INSERT + UPDATE"), (f"{ADVISORY} + settle", "INSERT + UPDATE")),
    ),
    View(
        "old rows",
        "old rows",
        (ADVISORY, f"{ADVISORY}, old rows"),
        ((f"{ADVISORY}, old rows", ADVISORY), (f"{ADVISORY} + settle, old rows", f"{ADVISORY} + settle")),
    ),
    View(
        "old rows of the handover",
        "old rows of the handover",
        (HANDOVER, f"{HANDOVER}, old rows"),
        ((f"{HANDOVER}, old rows", HANDOVER),),
    ),
)


def _per_second(subjects: Row) -> Iterator[str]:
    return (f"{subject}, per s" for subject in subjects)


def _spread(spread: Spread) -> str:
    digits = ".2f" if spread.median >= 0.1 else ".2g"
    return f"{spread.median:{digits}} ({spread.low:{digits}} to {spread.high:{digits}})"


def _ms(us: float) -> str:
    return f"{us / 1000:.2f}"


def _facts(results: Results) -> Table:
    data = results.data
    machine, server, disk = data["machine"], data["server"], data["fsync"]
    rows: list[Row] = [
        ("date", data["date"]),
        ("load average before the run", f"{machine['load_before']}; scheduling of the run: {machine['scheduling']}"),
        ("rounds", " to ".join(str(number) for number in _rounds(data["cases"]))),
        ("processor", f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gib']} GiB"),
        ("system", f"{machine['kernel']}, data on {server['filesystem']}"),
        ("versions", f"PostgreSQL {server['postgresql']}, pgbudget {server['pgbudget']}"),
        ("settings", ", ".join(f"{name} {value}" for name, value in server["settings"].items())),
        ("one write of 8 KiB with fdatasync, p50 · p99", f"{_ms(disk['p50_us'])} · {_ms(disk['p99_us'])} ms"),
    ]
    return Table("machine", ("", ""), rows)


def _rounds(cases: list[Figures]) -> list[int]:
    """The least and the largest number of rounds, or the one that all have."""
    numbers = {len(figures["batches"]) for case in cases for figures in case["subjects"].values()}
    return sorted({min(numbers), max(numbers)})


def _targets(results: Results) -> Table:
    table = Table("targets", ("reserve_advisory, 1 client", "must be", "is", "holds"))
    for target in TARGETS:
        is_ = target.measured(results)
        table.rows.append((target.what, target.bounds, _spread(is_), "yes" if target.holds(is_.median) else "no"))
    return table


def _index(results: Results) -> Table:
    """The day's index as it is, to one that only finds the day."""
    plain, pair = "plain index", f"{ADVISORY} + settle"
    header = ("rows in the day", "check, vacuumed: CPU time", "check, lived: CPU time", "reserve + settle: pairs per s")
    table = Table("the day's index", header)
    for case in results.cases(plain):
        lived = ""
        for other in results.cases(f"{plain}, lived day"):
            if other["rows"] == case["rows"]:
                lived = _spread(ratio(other, "check, lived day", f"check, lived day, {plain}", "cpu_us"))
        vacuumed = _spread(ratio(case, "check", f"check, {plain}", "cpu_us"))
        table.rows.append((f"{case['rows']:,}", vacuumed, lived, _spread(ratio(case, pair, f"{pair}, {plain}"))))
    return table


def _hot(results: Results) -> Table:
    table = Table("HOT updates", ("ledger", "settled", "of them HOT"))
    for kind in results.data["hot_updates"]:
        table.rows.append((kind["kind"], str(kind["updates"]), str(kind["hot_updates"])))
    return table


def _memory(results: Results) -> Table:
    header = ("KiB of a backend's own", "connected", "after the first pair", "after all", "pairs", "memory contexts")
    table = Table("memory", header)
    for kind in results.data["memory"]:
        kept = [f"{kind[when]['private_kib']:,}" for when in ("before", "after_first", "after_all")]
        table.rows.append((kind["kind"], *kept, f"{kind['pairs']:,}", f"{kind['after_all']['contexts_kib']:,}"))
    return table


def steps(profiles: list[Figures]) -> Table:
    """Each step's µs, a column for each profile."""
    known = [*STEPS, OUTSIDE, WAITING]
    found = sorted(
        {step for profile in profiles for step in profile["steps"]},
        key=lambda step: known.index(step) if step in known else len(known),
    )
    header = [
        f"{profile['subject']}, {profile['rows']:,} rows{', in a transaction' if profile['in_transaction'] else ''}"
        for profile in profiles
    ]
    table = Table("µs of a call", ("step", *header))
    for step in found:
        table.rows.append((step, *(_us(profile["steps"].get(step)) for profile in profiles)))
    table.rows.append(("all", *(_us(sum(profile["steps"].values())) for profile in profiles)))
    return table


def _us(us: float | None) -> str:
    return "" if us is None else f"{us:.0f}"
