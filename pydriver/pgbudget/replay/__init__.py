"""How to choose a limit and an estimate: a log of past calls, lived through again by the budget's own functions."""

from __future__ import annotations

from pgbudget.replay.figures import Answer, Figures, Peak, Refusal, Slice, measure
from pgbudget.replay.log import Call, Defaults, Log, LogError, read_log
from pgbudget.replay.run import RULES, Plan, possible_rules, prices_in, replay, scratch

__all__ = [
    "RULES",
    "Answer",
    "Call",
    "Defaults",
    "Figures",
    "Log",
    "LogError",
    "Peak",
    "Plan",
    "Refusal",
    "Slice",
    "measure",
    "possible_rules",
    "prices_in",
    "read_log",
    "replay",
    "scratch",
]
