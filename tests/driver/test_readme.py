"""The README's Python runs as it stands, against a database instead of the one it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pgbudget import Budget
from tests.race import Connection

README = Path(__file__).parents[2] / "README.md"


def test_the_readmes_python_runs(dsn: str, db: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    [program] = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    program = program.replace("postgresql://app@host/db", dsn)
    exec(compile(program, README, "exec"), {})  # noqa: S102 - our own
    ledger = "SELECT service_name, metadata ->> 'type', cost::text FROM public.cost_tracking"
    assert db.execute(ledger).fetchall() == [("summaries", "actual", "1.87")]
    assert capsys.readouterr().out == ""
    Budget(db).freeze("no more")
    exec(compile(program, README, "exec"), {})  # noqa: S102
    assert capsys.readouterr().out == "frozen None\n"
