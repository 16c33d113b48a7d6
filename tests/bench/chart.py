"""The charts of a result, as SVG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from tests.bench.results import Results, ratio
from tests.bench.targets import ADVISORY, HANDOVER

COLOURS = {"INSERT": "#8a8a8a", HANDOVER: "#c0392b", "reserve": "#e08e0b", ADVISORY: "#1f6fb2"}
STYLES = ("-", "--", ":")


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw every chart into a folder; return the files."""
    files = []
    for name, panels in CHARTS.items():
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
            figure = Figure(figsize=(5.2 * len(panels), 4), layout="constrained")
            for number, panel in enumerate(panels):
                panel(results, figure.add_subplot(1, len(panels), number + 1))
            files.append(folder / f"{name}.svg")
            # The digest ties the picture to the figures that it was drawn from.
            figure.savefig(files[-1], metadata={"Date": None, "Description": f"drawn from {results.digest}"})
    return files


def _throughput(results: Results, axes: Axes) -> None:
    cases = list(results.cases("calls"))
    for clients, style in zip(sorted({case["clients"] for case in cases}), STYLES, strict=False):
        for subject in ("reserve", ADVISORY):
            own = [case for case in cases if case["clients"] == clients]
            spreads = [ratio(case, subject, HANDOVER) for case in own]
            medians = [spread.median for spread in spreads]
            errors = [
                [spread.median - spread.low for spread in spreads],
                [spread.high - spread.median for spread in spreads],
            ]
            label = f"{subject}, {clients} client{'s'[: clients > 1]}"
            rows = [case["rows"] for case in own]
            axes.errorbar(rows, medians, errors, label=label, color=COLOURS[subject], linestyle=style, capsize=2)
    axes.axhline(1, color=COLOURS[HANDOVER], linewidth=1, label="the handover's function")
    axes.set_title("Throughput, as a multiple of the handover's")
    _finish(axes)


def _latency(results: Results, axes: Axes) -> None:
    own = [case for case in results.cases("calls") if case["clients"] == 1]
    rows = [case["rows"] for case in own]
    for subject, colour in COLOURS.items():
        for figure, style in (("p50_us", "-"), ("p99_us", ":")):
            values = [case["subjects"][subject][figure] / 1000 for case in own]
            axes.plot(rows, values, label=f"{subject}, {figure[:3]}", color=colour, linestyle=style, marker="o", ms=3)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_title("Latency in ms, 1 client")
    _finish(axes)


def _finish(axes: Axes) -> None:
    axes.set_xscale("symlog", linthresh=1000, linscale=0.5)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("rows in the day")
    axes.set_ylim(bottom=None if axes.get_yscale() == "log" else 0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", frameon=False)


CHARTS: dict[str, tuple[Callable[[Results, Axes], None], ...]] = {"rows": (_throughput, _latency)}
