"""What is watched while the load runs: what is committed, and the memory of the backends."""

from __future__ import annotations

import re
import threading
from decimal import Decimal
from pathlib import Path
from types import TracebackType

from tests.race import SECONDS, Connection
from tests.rows import value

# What decisions have granted counts at most its estimate, and what came late was no decision's. Plain spend aside, this
# is never above the highest limit in any committed state. The clock is read after the snapshot was taken.
GRANTED = """
    SELECT coalesce(sum(least(cost, (metadata ->> 'estimated_cost')::numeric)), 0)
      FROM public.cost_tracking
     WHERE metadata ? 'reserved_at' AND NOT metadata ? 'late' AND (expires_at IS NULL OR expires_at > clock_timestamp())
"""


def private_kib(pid: int) -> int:
    """The memory that a process has for its own alone; 0 once it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) if found else 0


class Watch:
    """Looks ten times a second, in a thread of its own, until it is left."""

    def __init__(self, observer: Connection, pids: list[int], warm_up: float) -> None:
        """`warm_up`: after so many seconds the memory of the backends is taken for what they need."""
        self.highest = Decimal(0)
        self.looks = 0
        self.warm: dict[int, int] = {}
        self.most: dict[int, int] = {}
        self._observer = observer
        self._pids = pids
        self._warm_up = warm_up
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(SECONDS)

    @property
    def growth_kib(self) -> int:
        """Of the backend that grew most after the warm-up."""
        return max(self.most[pid] - warm for pid, warm in self.warm.items())

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.looks += 1
            self.highest = max(self.highest, value(self._observer, GRANTED))
            memory = {pid: private_kib(pid) for pid in self._pids}
            if self.looks * 0.1 < self._warm_up:
                continue
            self.warm = self.warm or memory
            self.most = {pid: max(kib, self.most.get(pid, 0)) for pid, kib in memory.items()}
