"""How a plan is shown: for a human at the console's width, and for machines."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import chain
from textwrap import wrap
from typing import Any

from rich.console import Console
from rich.text import Text

from pgbudget.cli._common import printable, span
from pgbudget.locks import Session
from pgbudget.plan import Plan

_MARKS = {"does": ("+", "green"), "expect": ("!", "yellow"), "stops": ("x", "bold red")}


def show_plan(console: Console, found: Plan) -> None:
    """Print what would be done, then who uses the tables, then what stops the run, if anything does."""
    title = printable(f" for database {found.database} as role {found.role}; nothing is changed")
    console.print(Text.assemble(("Plan", "bold"), title))
    if not found.pending:
        console.print("\nnothing to apply: the database is up to date")
    for migration in found.pending:
        notes = [(n.kind, n.note) for n in found.notes if n.migration == migration and n.kind != "stops"]
        _section(console, migration, notes or [("does", "done already: runs again, changes nothing, and is marked")])
    _section(console, "then", [("does", f"budget_caller is granted to {role}") for role in found.grant_to])
    _section(
        console,
        "Transactions that use the tables now; the run stops, to be resumed, where one of them lasts",
        [("expect", *_described(session)) for session in found.busy],
    )
    _section(
        console,
        "In the way; no table is changed before it is mended",
        [("stops", note.note, note.remedy or "") for note in found.stops],
    )


def plan_as_json(found: Plan) -> dict[str, Any]:
    """Return the plan as one object; the notes are sorted by their migrations, what stops stands for itself."""

    def notes(migration: str, kind: str) -> list[str]:
        return [note.note for note in found.notes if (note.migration, note.kind) == (migration, kind)]

    return {
        "database": found.database,
        "role": found.role,
        "pending": [
            {"migration": name, "does": notes(name, "does"), "expect": notes(name, "expect")} for name in found.pending
        ],
        "grant_to": found.grant_to,
        "busy": [dataclasses.asdict(session) for session in found.busy],
        "stops": [{"migration": n.migration, "found": n.note, "remedy": n.remedy} for n in found.stops],
    }


def _section(console: Console, title: str, items: Sequence[tuple[str, ...]]) -> None:
    """Print a title and its items, each with the mark of its kind and a hanging indent; nothing without items."""
    if items:
        console.print(Text(f"\n{title}", style="bold"))
    for kind, *lines in items:
        mark, style = _MARKS[kind]
        wrapped = (wrap(printable(line), max(8, console.width - 3), break_on_hyphens=False) for line in lines)
        for number, line in enumerate(chain(*wrapped)):
            console.print(Text.assemble(" ", (" " if number else mark, style), " ", line))


def _described(session: Session) -> tuple[str, ...]:
    who = f"process {session.pid}" if session.pid else "no process"
    parts = [who, session.role, session.application, session.state]
    if session.since:
        parts.append(f"for {span(datetime.now(timezone.utc) - session.since)}")
    return ", ".join(part for part in parts if part), ", ".join(session.locks), " ".join(session.query.split())
