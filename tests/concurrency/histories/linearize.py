"""Looks for an order of the calls of a history in which the database may have taken them one at a time.

The search of Wing and Gong with the memory of Lowe: a call may come next if no other that is left had ended before it
began. Clients do one thing after the other, so that what is done already is told by one number for each. Beside that a
node holds the state, and of each call under way what it may have read so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from tests.concurrency.histories.operations import DECISION, LEDGER, ROW, Call, View
from tests.concurrency.histories.state import Config, Row, State

MOST_NODES = 300_000
"""A search that goes on longer has failed as well: in a history that is right it takes about a node for each call."""


class Seen(NamedTuple):
    """What a call under way may have read, and whether that explains its answer."""

    configs: frozenset[Config] = frozenset()
    rows: frozenset[Row | None] = frozenset()
    explained: bool = False
    room: int | None = None
    """Where the room is spread: the most that it may have found, less what others have taken since."""


NOTHING = Seen()


class Node(NamedTuple):
    """A state after some of the calls."""

    done: tuple[int, ...]
    """How many of each client."""
    state: State
    seen: tuple[Seen, ...]
    """By each client's next call."""


class Result(NamedTuple):
    """With `found`, an order of all calls. Else the longest beginning of one that there is, and where it ends."""

    found: bool
    order: list[Call]
    node: Node
    nodes: int


class Search:
    """The calls of each client, in their order."""

    def __init__(self, clients: Sequence[Sequence[Call]]) -> None:
        self.clients = clients

    def run(self, first: State, is_final: Callable[[State], bool]) -> Result:
        """Look for an order that leads from the first state to a final one."""
        root = self._look(None, Node((0,) * len(self.clients), first, (NOTHING,) * len(self.clients)))
        path: list[tuple[Node, Iterator[tuple[Call, Node]]]] = [(root, self._steps(root))]
        order: list[Call] = []
        longest = Result(False, [], root, 0)
        dead, nodes = set(), 0
        if self._is_over(root) and is_final(first):
            return longest._replace(found=True)
        while path and nodes < MOST_NODES:
            node, steps = path[-1]
            step = next(steps, None)
            if step is None:
                dead.add((node.done, node.state.key(), node.seen))
                path.pop()
                del order[-1:]
                continue
            call, node = step
            if dead and (node.done, node.state.key(), node.seen) in dead:
                continue
            nodes += 1
            order.append(call)
            path.append((node, self._steps(node)))
            if len(order) > len(longest.order):
                longest = Result(False, list(order), node, nodes)
            if self._is_over(node) and is_final(node.state):
                return Result(True, order, node, nodes)
        return longest._replace(nodes=nodes)

    def _is_over(self, node: Node) -> bool:
        return all(done == len(calls) for done, calls in zip(node.done, self.clients, strict=True))

    def under_way(self, node: Node) -> list[tuple[int, Call]]:
        """Each client's next call, if it may come next."""
        left = [
            (client, calls[done])
            for client, (done, calls) in enumerate(zip(node.done, self.clients, strict=True))
            if done < len(calls)
        ]
        first_end = min((call.ended for _, call in left), default=0)
        return [(client, call) for client, call in left if call.started <= first_end]

    def _steps(self, node: Node) -> Iterator[tuple[Call, Node]]:
        ready = [
            (client, call)
            for client, call in self.under_way(node)
            if node.seen[client].explained and fits(call, node.state, node.seen[client])
        ]
        ready.sort(key=lambda one: one[1].operation.likely(one[1]))
        # Nobody can tell whether one that changed nothing came before or after what may follow: it comes now, and need
        # not be tried later.
        silent = [(client, call) for client, call in ready if call.is_silent]
        for client, call in silent[:1] or ready:
            done = (*node.done[:client], node.done[client] + 1, *node.done[client + 1 :])
            seen = (*node.seen[:client], NOTHING, *node.seen[client + 1 :])
            for state in call.operation.effects(call, node.state):
                yield call, self._look(call, Node(done, state, seen), node.state)

    def _look(self, last: Call | None, node: Node, before: State | None = None) -> Node:
        """Let all calls under way read the state that the last one left."""
        seen = list(node.seen)
        taken = 0 if last is None or before is None else last.operation.takes(last, before)
        for client, call in self.under_way(node):
            old = seen[client]
            if last is not None and before is not None and is_stale(call, last, before, node.state):
                old = NOTHING
            seen[client] = look(call, node.state, old, taken)
        return node._replace(seen=tuple(seen))


def is_stale(call: Call, last: Call, before: State, after: State) -> bool:
    """What the call had read before the last commit, it would have to read again."""
    restarts_at, row_id = call.operation.restarts_at, call.operation.id
    if after.is_spread:
        restarts_at = restarts_at - {DECISION}
    return (
        not restarts_at.isdisjoint(last.locks)
        or (LEDGER in restarts_at and before.rows is not after.rows)
        or (ROW in restarts_at and before.get(row_id) != after.get(row_id))
    )


def look(call: Call, state: State, seen: Seen, taken: int) -> Seen:
    """What the call may have read when this state is there as well, and another decision has taken so much."""
    row = state.get(call.operation.id)
    configs, rows = seen.configs | {state.config}, seen.rows | {row}
    explained = seen.explained or any(
        call.operation.explains(call, View(config, row, state, now))
        for config, row, now in product(configs, rows, instants(call, state))
    )
    if not state.is_spread:
        return Seen(configs, rows, explained)
    room = max(config.kill for config in configs) - min(state.total(now) for now in instants(call, state))
    return Seen(configs, rows, explained, room if seen.room is None else max(room, seen.room - taken))


def fits(call: Call, state: State, seen: Seen) -> bool:
    """What the call takes is there for it alone."""
    takes = call.operation.takes(call, state)
    return seen.room is None or takes == 0 or takes <= seen.room


def instants(call: Call, state: State) -> list[int]:
    """What time the call may have taken it to be, as far as it makes a difference."""
    earliest = max(call.started, state.decided_at) if DECISION in call.operation.restarts_at else call.started
    return [earliest, *(expires for expires, _, _ in state.holds if earliest < expires <= call.ended)]
