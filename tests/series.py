"""Which series the databases of this run have: `SERIES=budgets` in the environment, else core.

With `SLOTS=4` beside it the budget `daily` has its room spread over that many slots.
"""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

SERIES = os.environ.get("SERIES", "core")
SLOTS = int(os.environ.get("SLOTS", "1"))


def by_series(*, core: T, budgets: T) -> T:
    """What holds in the series of this run."""
    return {"core": core, "budgets": budgets}[SERIES]
