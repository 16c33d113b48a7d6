"""What must be true of a history."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from tests.concurrency.histories.linearize import Search
from tests.concurrency.histories.operations import Call, Outcome, Reserve, Verdict
from tests.concurrency.histories.report import ledger, line, why_not
from tests.concurrency.histories.running import History
from tests.concurrency.histories.state import State


def faults(history: History) -> Iterator[str]:
    """What is wrong with it, told at length; nothing if all of it may have been done one call at a time."""
    yield from _no_order(history)
    yield from _wrong_escalations(history)
    for row in history.broken:
        yield f"a broken invariant: {row}"


def by_client(calls: list[Call]) -> list[list[Call]]:
    clients: dict[int, list[Call]] = {}
    for call in calls:
        clients.setdefault(call.client, []).append(call)
    return list(clients.values())


def _no_order(history: History) -> Iterator[str]:
    """There is an order of all calls that explains every answer, and it leaves the ledger as it was found."""

    def is_final(state: State) -> bool:
        return state.summary() == history.ledger

    search = Search(by_client(history.calls))
    result = search.run(history.first_state, is_final)
    if not result.found:
        lines = why_not(search, result)
        if len(result.order) == len(history.calls):
            lines += ["All calls are there, but the ledger was found as", *map(str, sorted(history.ledger.items()))]
            lines += ["and not as", *ledger(result.node.state, since=0)]
        yield "\n".join(lines)


def _wrong_escalations(history: History) -> Iterator[str]:
    """Whoever was refused, and each spend above the limit, is in an escalation, once."""
    refused = {
        call.operation.service
        for call in history.calls
        if isinstance(call.operation, Reserve)
        and isinstance(call.answer, Verdict)
        and call.answer.reason not in ("granted", "replayed", "ended")
    }
    overrun = {call.answer.id for call in history.calls if isinstance(call.answer, Outcome) and call.answer.over}
    told = {kind: [subject for one, subject in history.escalations if one == kind] for kind, _ in history.escalations}
    told_refused, told_overrun = told.get("budget_refused", []), told.get("budget_overrun", [])
    if not refused <= set(told_refused):  # an extension is refused in the name of its hold's service
        yield f"refused were {refused}, and escalated {told_refused}"
    if overrun != {UUID(subject).int for subject in told_overrun}:
        yield f"above the limit went {overrun}, and escalated were {told_overrun}"
    if len(set(history.escalations)) < len(history.escalations):
        yield f"escalated twice: {history.escalations}"


def story(history: History, told: list[str]) -> str:
    """The faults, and under them everything that was done, in the order in which it was begun."""
    calls = sorted(history.calls, key=lambda call: call.started)
    lines = [line(call, calls[0].started) for call in calls]
    return "\n".join([*told, "", f"The history of seed {history.program.seed}, in microseconds and cents:", *lines])
