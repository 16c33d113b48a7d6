"""The charts of a result, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from tests.bench import budgets
from tests.bench.results import Results, ratio
from tests.bench.rounds import Figures
from tests.bench.subjects import Subject
from tests.bench.targets import ADVISORY, HANDOVER

COLOURS = {"INSERT": "#8a8a8a", HANDOVER: "#c0392b", ADVISORY: "#1f6fb2"}
SHADES = ("#7fb2e0", "#1f6fb2", "#0b2e59")
PAIR_COLOURS = {
    budgets.BARE: "#8a8a8a",
    budgets.HANDOVER: "#c0392b",
    budgets.CORE: "#e08e2b",
    **dict(zip((budgets.HOT[slots] for slots in (1, 16, 64)), SHADES, strict=True)),
}

Charts = dict[str, tuple[Callable[[Results, Axes], None], ...]]


def draw(charts: Charts, results: Results, folder: Path) -> list[Path]:
    """Draw every chart into a folder; return the files."""
    files = []
    for name, panels in charts.items():
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
            figure = Figure(figsize=(5.5 * len(panels), 4.5), layout="constrained")
            for number, panel in enumerate(panels):
                panel(results, figure.add_subplot(1, len(panels), number + 1))
            files.append(folder / f"{name}.svg")
            # The digest ties the picture to the figures that it was drawn from.
            figure.savefig(files[-1], metadata={"Date": None, "Description": f"drawn from {results.digest}"})
    return files


def _throughput(results: Results, axes: Axes) -> None:
    cases = list(results.cases("calls"))
    axes.axhline(1, color=COLOURS[HANDOVER], label=HANDOVER)
    for clients, colour in zip(sorted({case["clients"] for case in cases}), SHADES, strict=False):
        own = [case for case in cases if case["clients"] == clients]
        spreads = [ratio(case, ADVISORY, HANDOVER) for case in own]
        medians = [spread.median for spread in spreads]
        low = [spread.median - spread.low for spread in spreads]
        high = [spread.high - spread.median for spread in spreads]
        axes.errorbar(
            _sizes(own), medians, [low, high], label=f"clients: {clients}", color=colour, capsize=3, marker="o"
        )
    axes.set_title(f"Throughput of {ADVISORY}, as a multiple of the {HANDOVER}'s", fontsize="medium")
    axes.set_ylim(bottom=0)
    _finish(axes)


def _latency(results: Results, axes: Axes) -> None:
    least = min(case["clients"] for case in results.cases("calls"))
    own = [case for case in results.cases("calls") if case["clients"] == least]
    for subject, colour in COLOURS.items():
        for figure, style in (("p50_us", "-"), ("p99_us", ":")):
            values = [case["subjects"][subject][figure] / 1000 for case in own]
            axes.plot(_sizes(own), values, label=f"{subject}, {figure[:3]}", color=colour, linestyle=style, marker="o")
    axes.set_title(f"Latency in ms, clients: {least}", fontsize="medium")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _finish(axes)


def _sizes(cases: Iterable[Figures]) -> list[str]:
    return [f"{case['rows']:,}" for case in cases]


def _pairs_by_rows(number: int) -> Callable[[Results, Axes], None]:
    """With the first number of clients that was measured, or the next."""

    def panel(results: Results, axes: Axes) -> None:
        measured = sorted({own["clients"] for own in results.entries("rows", budgets.BARE.name)})
        clients = measured[number % len(measured)]
        for name, subjects in (
            ("rows", (budgets.BARE, budgets.BUDGETS)),
            ("rows, added up", (budgets.HANDOVER, budgets.CORE)),
        ):
            for subject in subjects:
                own = [entry for entry in results.entries(name, subject.name) if entry["clients"] == clients]
                _pairs(axes, subject, _sizes(own), own)
        axes.set_title(f"Pairs per second, clients: {clients}", fontsize="medium")
        _finish(axes)

    return panel


def _pairs_by_clients(delay: int) -> Callable[[Results, Axes], None]:
    """With commits as they are, or made slower."""

    def panel(results: Results, axes: Axes) -> None:
        delay_us = sorted({case["commit_delay_us"] for case in results.cases("clients")})[delay]
        for subject in PAIR_COLOURS:
            own = results.entries("clients", subject.name, delay_us)
            _pairs(axes, subject, [str(entry["clients"]) for entry in own], own)
        slower = f"commits {delay_us / 1000:g} ms slower" if delay_us else "commits as fast as the disk"
        axes.set_title(f"Pairs per second, {slower}", fontsize="medium")
        _finish(axes, "clients")

    return panel


def _pairs(axes: Axes, subject: Subject, at: list[str], entries: list[Figures]) -> None:
    speeds = [entry["tps"] for entry in entries]
    axes.plot(at, speeds, label=subject.name, color=PAIR_COLOURS[subject], marker="o")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _finish(axes: Axes, against: str = "rows in the day") -> None:
    axes.set_xlabel(against)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.15))


CORE_CHARTS: Charts = {"rows": (_throughput, _latency)}
BUDGETS_CHARTS: Charts = {
    "budgets-rows": (_pairs_by_rows(0), _pairs_by_rows(1)),
    "budgets-clients": (_pairs_by_clients(0), _pairs_by_clients(1)),
}
