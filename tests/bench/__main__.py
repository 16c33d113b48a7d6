"""Runs the whole comparison: python -m tests.bench [--help]. Its files go to build/bench unless told otherwise."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from tests.bench.parts import PARTS
from tests.bench.results import Results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="one part; all by default")
    parser.add_argument("--quick", action="store_true", help="the same at tiny sizes, to see that all of it works")
    parser.add_argument("--rounds", type=int, help="of every case, at least 2; by default more where calls are fast")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="the folder for the files")
    parser.add_argument("--show", action="store_true", help="measure nothing, show the files that are there")
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    # A file or a narrow window gets whole lines as well.
    console = Console()
    console.width = max(console.width, 150)
    for part in [PARTS[options.only]] if options.only else PARTS.values():
        file = options.out / part.file
        if not options.show:
            part.run((part.quick if options.quick else part.full).with_rounds(options.rounds), file)
        results = Results.load(file)
        for table in part.tables(results):
            console.print(table.rich())
        console.print(*part.draw(results, options.out), sep="\n")


if __name__ == "__main__":
    main()
