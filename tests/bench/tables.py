"""The tables of a result, for the terminal and for the page of documentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.table import Table as RichTable

from tests.bench import budgets
from tests.bench.results import Results, Spread, ratio
from tests.bench.rounds import Figures, under
from tests.bench.steps import OUTSIDE, STEPS, WAITING
from tests.bench.targets import ADVISORY, BUDGETS_TARGETS, CORE_TARGETS, HANDOVER, Target

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


def core_tables(results: Results) -> Iterator[Table]:
    """All tables whose figures the result has."""
    yield _facts("machine", results)
    if results.data["scale"] == "full":
        yield _targets("targets", "reserve_advisory, 1 client", CORE_TARGETS, results)
    for view in VIEWS:
        yield view.throughput(results)
        yield view.latency(results)
    yield _index(results)
    yield _hot(results)
    yield _memory(results)
    yield steps("µs of a call", results.data["profiles"])


def budgets_tables(results: Results) -> Iterator[Table]:
    """The same of the series budgets."""
    yield _facts("budgets: machine", results)
    if results.data["scale"] == "full":
        yield _targets("budgets: targets", "pairs of the series to the bare pair", BUDGETS_TARGETS, results)
    yield _rows_in_the_day(results)
    yield _clients(results)
    yield _members(results)
    yield _newcomers(results)
    yield _many(results)
    yield _commits(results)
    yield steps("budgets: µs of a call", results.data["profiles"])


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


def _facts(name: str, results: Results) -> Table:
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
    return Table(name, ("", ""), rows)


def _rounds(cases: list[Figures]) -> list[int]:
    """The least and the largest number of rounds, or the one that all have."""
    numbers = {len(figures["batches"]) for case in cases for figures in case["subjects"].values()}
    return sorted({min(numbers), max(numbers)})


def _targets(name: str, of: str, targets: tuple[Target, ...], results: Results) -> Table:
    table = Table(name, (of, "must be", "is", "holds"))
    for target in targets:
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


def _rows_in_the_day(results: Results) -> Table:
    """Pairs at each size of the day, and what is left of those of the smallest."""
    bare, own = budgets.BARE.name, budgets.BUDGETS.name
    header = (
        "rows in the day",
        "clients",
        *_per_second((bare, "handover", "core", own)),
        "budgets to the smallest day",
    )
    table = Table("budgets: rows in the day", header)
    for entry in results.entries("rows", own):
        rows, clients = entry["rows"], entry["clients"]
        alike = (
            results.entries(case, subject)
            for case, subject in (
                ("rows", bare),
                ("rows, added up", "handover"),
                ("rows, added up", "core"),
                ("rows", own),
            )
        )
        speeds = [
            "".join(_speed(other) for other in others if (other["rows"], other["clients"]) == (rows, clients))
            for others in alike
        ]
        case = results.holding("rows", under(own, rows, clients))
        least = min(other["rows"] for other in results.entries("rows", own))
        flat = ratio(case, under(own, rows, clients), under(own, least, clients))
        table.rows.append((f"{rows:,}", str(clients), *speeds, _spread(flat)))
    return table


PAIRS = ("subject", "commits", "clients", "pairs per s", "CPU µs of a pair", "p50 · p99, ms", "to the bare pair")


def _pairs(case: Figures, name: str, bare: str) -> Row:
    entry = case["subjects"][name]
    return (
        entry["subject"],
        _commit(case),
        str(entry["clients"]),
        _speed(entry),
        f"{entry['cpu_us']:,.0f}",
        f"{_ms(entry['p50_us'])} · {_ms(entry['p99_us'])}",
        _spread(ratio(case, name, bare)),
    )


def _clients(results: Results) -> Table:
    """One budget that all calls share: each number of slots and of clients."""
    table = Table("budgets: clients", (*PAIRS, "to the fewest clients"))
    for case in results.cases("clients"):
        least = min(entry["clients"] for entry in case["subjects"].values())
        for name, entry in case["subjects"].items():
            bare = under(budgets.BARE.name, entry["rows"], entry["clients"])
            fewest = under(entry["subject"], entry["rows"], least)
            table.rows.append((*_pairs(case, name, bare), _spread(ratio(case, name, fewest))))
    return table


def _members(results: Results) -> Table:
    table = Table("budgets: members", PAIRS)
    for case in results.cases("members"):
        table.rows.extend(_pairs(case, name, budgets.BARE.name) for name in case["subjects"])
    return table


def _newcomers(results: Results) -> Table:
    header = ("rows in the day", *(f"{subject.name}: p50 in ms" for subject in (budgets.THREE, budgets.NEWCOMERS)))
    table = Table("budgets: newcomers", header)
    known, new = (results.entries("newcomers", subject.name) for subject in (budgets.THREE, budgets.NEWCOMERS))
    for own, other in zip(known, new, strict=True):
        table.rows.append((f"{own['rows']:,}", _ms(own["p50_us"]), _ms(other["p50_us"])))
    return table


def _many(results: Results) -> Table:
    table = Table("budgets: reserve_many", ("call", "reservations per s", "CPU µs of one", "to single calls"))
    for case in results.cases("many"):
        for name, entry in case["subjects"].items():
            to_single = _spread(ratio(case, name, budgets.SINGLE.name))
            table.rows.append((name, _speed(entry), f"{entry['cpu_us']:,.0f}", to_single))
    return table


def _commits(results: Results) -> Table:
    """How long an INSERT takes when commits are slower, and what that leaves of the difference to the handover's."""
    header = ("commits", "INSERT, p50 in ms", *_per_second(("INSERT", HANDOVER, ADVISORY)), f"{ADVISORY} / {HANDOVER}")
    table = Table("budgets: commits", header)
    for case in results.cases("calls"):
        subjects = case["subjects"]
        speeds = [_speed(subjects[name]) for name in ("INSERT", HANDOVER, ADVISORY)]
        shown = _spread(ratio(case, ADVISORY, HANDOVER))
        table.rows.append((_commit(case), _ms(subjects["INSERT"]["p50_us"]), *speeds, shown))
    return table


def _commit(case: Figures) -> str:
    delay_us: int = case["commit_delay_us"]
    return f"{delay_us / 1000:g} ms slower" if delay_us else "as they are"


def _speed(figures: Figures) -> str:
    return f"{figures['tps']:,.0f}"


def steps(name: str, profiles: list[Figures]) -> Table:
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
    table = Table(name, ("step", *header))
    for step in found:
        table.rows.append((step, *(_us(profile["steps"].get(step)) for profile in profiles)))
    table.rows.append(("all", *(_us(sum(profile["steps"].values())) for profile in profiles)))
    return table


def _us(us: float | None) -> str:
    return "" if us is None else f"{us:.0f}"
