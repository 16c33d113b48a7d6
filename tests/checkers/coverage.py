"""How much of a series' PL/pgSQL its tests have run: `python -m tests.checkers.coverage SERIES FOLDER`, once profiled.

Every statement has to be run, and 95 of 100 branches, in each function and in all. What is not is named with its line.
A branch is one way on from an IF, a CASE, a loop or a block with handlers, also the way that passes an IF by. A CASE
inside an SQL expression is none: nobody counts its ways. Of functions in SQL only the call is counted.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pgbudget.migrations import series_dir
from tests.checkers.profile import Key, Statement, added, body_of, text_of

BRANCHES_PERCENT = 95


@dataclass
class Coverage:
    """How many there are, and the lines of those that were never run, with what they are."""

    total: int = 0
    missing: list[tuple[int, str]] = field(default_factory=list)

    @property
    def run(self) -> int:
        return self.total - len(self.missing)

    @property
    def percent(self) -> float:
        return 100 * self.run / self.total if self.total else 100.0

    def count(self, line: int, what: str, *, runs: int) -> None:
        self.total += 1
        if not runs:
            self.missing.append((line, what))


def statements_of(function: Iterable[Statement]) -> Coverage:
    coverage = Coverage()
    for statement in function:
        coverage.count(statement.line, statement.kind, runs=statement.runs)
    return coverage


def branches_of(function: Iterable[Statement], body: str) -> Coverage:
    coverage = Coverage()
    statements = sorted(function, key=lambda statement: statement.id)
    for parent in statements:
        children = [child for child in statements if child.parent == parent.id]
        first = {child.branch: child for child in children if child.place == 1}
        for branch, child in first.items():
            if branch != "body":  # a block's own
                coverage.count(child.line, f"{parent.kind}: {branch}", runs=child.runs)
        # What does nothing has no statement that could be counted, so it is what is left.
        left = parent.runs - sum(child.runs for child in first.values())
        if parent.kind == "IF" and "else body" not in first:
            coverage.count(parent.line, "IF: passed by", runs=left)
        if parent.kind == "CASE" and _has_an_empty_branch(body, parent.line):
            coverage.count(parent.line, "CASE: the branch that does nothing", runs=left)
        if parent.kind == "statement block" and parent.parent is not None and set(first) == {"body"}:
            # A block within a block is there for its handler.
            errors = sum(child.errors for child in children)
            coverage.count(parent.line, "the exception handler that does nothing", runs=errors)
    return coverage


def _has_an_empty_branch(body: str, line: int) -> bool:
    """Does the CASE that begins in this line have a branch with nothing in it but NULL?"""
    case, _, _ = "\n".join(body.split("\n")[line - 1 :]).partition("END CASE")
    return re.search(r"\b(THEN|ELSE)\s+NULL;", case) is not None


@dataclass(frozen=True)
class Function:
    """A function as its file has it."""

    file: Path
    first_line: int
    """The file's line in which the body begins."""
    body: str

    @classmethod
    def in_file(cls, file: Path) -> Function:
        source = file.read_text()
        before = source.split("$function$")[0]
        return cls(file, before.count("\n") + 1, body_of(source))

    def at(self, line: int) -> str:
        return f"{self.file.parent.name}/{self.file.name}:{self.first_line + line - 1}"


def report(sums: dict[Key, Statement], functions: Iterable[Function]) -> bool:
    """Print what each function lacks, and the sums. Returns whether it is enough."""
    by_text: dict[str, list[Statement]] = defaultdict(list)
    for statement in sums.values():
        by_text[statement.text].append(statement)
    enough, statements, branches = True, Coverage(), Coverage()
    print(f"{'function':28}{'statements':>14}{'branches':>14}")
    for function in functions:
        found = by_text[text_of(function.body)]
        mine = (statements_of(found), branches_of(found, function.body))
        good = bool(found) and not mine[0].missing and mine[1].percent >= BRANCHES_PERCENT
        enough &= good
        figures = "".join(f"{coverage.run:>9}/{coverage.total:<4}" for coverage in mine)
        verdict = "" if good else "  <- too little" if found else "  <- not in the data"
        print(f"{function.file.stem:28}{figures}{verdict}".rstrip())
        for line, what in sorted({missing for coverage in mine for missing in coverage.missing}):
            print(f"    never: {what}, {function.at(line)}")
        for total, coverage in zip((statements, branches), mine, strict=True):
            total.total += coverage.total
            total.missing += coverage.missing
    enough &= not statements.missing and branches.percent >= BRANCHES_PERCENT
    print(
        f"in all {statements.run} of {statements.total} statements ({statements.percent:.1f} %), "
        f"{branches.run} of {branches.total} branches ({branches.percent:.1f} %)"
    )
    return enough


def main(series: str, folder: str) -> int:
    sums: dict[Key, Statement] = {}
    for file in Path(folder).rglob("*.json"):
        added((Statement(**row) for row in json.loads(file.read_text())), sums)
    files = sorted((series_dir(series) / "functions").rglob("*.sql"), key=lambda file: file.name)
    print(f"series {series}")
    if report(sums, map(Function.in_file, files)):
        return 0
    print(
        "That is not enough: every statement has to be run, and 95 of 100 branches, in each function.", file=sys.stderr
    )
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
