"""Tells a history that has no order, so that one can read what went wrong."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from tests.concurrency.histories.linearize import Result, Search
from tests.concurrency.histories.operations import Call, Operation
from tests.concurrency.histories.state import State

SHOWN = 30


def told(operation: Operation) -> str:
    """A call in a few words: an id as #3, one that the database made as #…3f2a."""
    given = [(field.name, getattr(operation, field.name)) for field in fields(operation)]
    arguments = [short(value) if name == "id" else f"{name} {value}" for name, value in given if value is not None]
    return f"{type(operation).__name__}({', '.join(arguments)})"


def short(row_id: Any) -> str:
    return f"#{row_id}" if row_id is None or row_id < 10**6 else f"#…{row_id % 65536:04x}"


def answer(call: Call, since: int) -> str:
    said = call.answer
    if not hasattr(said, "_asdict"):
        return str(said)
    shown = {name: value for name, value in said._asdict().items() if name not in ("resets_at", "can_proceed")}
    for name in {"expires", "retry_at"} & shown.keys():
        shown[name] = shown[name] and shown[name] - since
    shown["id"] = said.id and short(said.id)
    return ", ".join(f"{name} {value}" for name, value in shown.items() if value is not None)


def line(call: Call, since: int) -> str:
    span = f"{call.started - since:8} to {call.ended - since:8}"
    return f"{span}  client {call.client:2}  {told(call.operation)}  ->  {answer(call, since)}"


def ledger(state: State, since: int) -> list[str]:
    lines = [f"{state.config}, total without holds {state.settled}"]
    for row_id, row in state.rows.items():
        expires = row.expires and row.expires - since
        lines.append(f"{short(row_id)}: {row.state} {row.cost}, estimate {row.estimate}, expires {expires}")
    return lines


def why_not(search: Search, result: Result) -> list[str]:
    """The order as far as it goes, the state that it comes to, and why nothing can follow."""
    since = min((calls[0].started for calls in search.clients), default=0)
    lines = [f"After {len(result.order)} calls, of which the last are"]
    lines += [f"  {line(call, since)}" for call in result.order[-SHOWN:]]
    lines += [
        "the state is",
        *(f"  {one}" for one in ledger(result.node.state, since)),
        "and none of these can be next:",
    ]
    for client, call in search.under_way(result.node):
        seen = result.node.seen[client]
        why = "cannot commit here" if seen.explained else f"nothing that it may have read explains it: {seen}"
        lines += [f"  {line(call, since)}", f"      {why}"]
    return lines
