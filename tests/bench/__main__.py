"""Runs the whole comparison: python -m tests.bench [--help]. Its files go to build/bench unless told otherwise."""

from __future__ import annotations

import argparse
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tests.bench.backends import hot_updates, memory
from tests.bench.cases import FULL, QUICK, Scale
from tests.bench.chart import draw
from tests.bench.ledgers import Ledgers, bench_server
from tests.bench.machine import fsync_us, machine, server_facts
from tests.bench.results import Results
from tests.bench.rounds import measure
from tests.bench.steps import profile
from tests.bench.tables import tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the same at tiny sizes, to see that all of it works")
    parser.add_argument("--rounds", type=int, help="of every case, at least 2; by default more where calls are fast")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="the folder for the files")
    parser.add_argument("--show", action="store_true", help="measure nothing, show the file that is there")
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "result.json"
    if not options.show:
        run((QUICK if options.quick else FULL).with_rounds(options.rounds), file)
    results = Results.load(file)
    # A file or a narrow window gets whole lines as well.
    console = Console()
    console.width = max(console.width, 150)
    for table in tables(results):
        console.print(table.rich())
    console.print(*draw(results, options.out), sep="\n")


def run(scale: Scale, file: Path) -> None:
    """Measure all there is and write it into the file, which is complete up to the case that runs."""
    results = Results({"date": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC", "scale": scale.name})
    data = results.data
    data["machine"] = machine()
    with bench_server() as server, Ledgers(server, scale.old_rows) as ledgers, Progress(transient=True) as progress:
        data["server"] = server_facts(server, ledgers["core"].connection)
        data["fsync"] = fsync_us(server.data_dir)
        cases = list(scale.cases())
        task = progress.add_task("", total=len(cases) + 1)
        data["cases"] = []
        for case in cases:
            progress.update(task, description=str(case))
            data["cases"].append(measure(ledgers, case))
            results.save(file)
            progress.advance(task)
        progress.update(task, description="one backend")
        middle = scale.rows[1]
        data["hot_updates"] = [
            hot_updates(ledgers, kind, middle, scale.pairs) for kind in ("core", "core, plain index")
        ]
        data["memory"] = [memory(ledgers, kind, scale.memory_pairs) for kind in ("handover", "core")]
        data["profiles"] = [
            profile(ledgers, subject, rows, in_transaction=alone, calls=scale.calls[0], rounds=scale.samples)
            for subject, rows, alone in (
                *(("reserve_advisory", rows, False) for rows in scale.rows),
                ("reserve_advisory", middle, True),
                ("handover", middle, False),
            )
        ]
        results.save(file)


if __name__ == "__main__":
    main()
