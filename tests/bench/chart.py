"""The charts of a result, as SVG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from tests.bench.results import Results, ratio
from tests.bench.rounds import Figures
from tests.bench.targets import ADVISORY, HANDOVER

COLOURS = {"INSERT": "#8a8a8a", HANDOVER: "#c0392b", ADVISORY: "#1f6fb2"}
SHADES = ("#7fb2e0", "#1f6fb2", "#0b2e59")


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw every chart into a folder; return the files."""
    files = []
    for name, panels in CHARTS.items():
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


def _sizes(cases: list[Figures]) -> list[str]:
    return [f"{case['rows']:,}" for case in cases]


def _finish(axes: Axes) -> None:
    axes.set_xlabel("rows in the day")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.15))


CHARTS: dict[str, tuple[Callable[[Results, Axes], None], ...]] = {"rows": (_throughput, _latency)}
