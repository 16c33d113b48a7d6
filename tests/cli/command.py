"""Run `pgbudget` inside this process: at a width, with its two outputs apart, and any traceback raised here."""

from __future__ import annotations

import os
import re

from click.testing import CliRunner

from pgbudget.cli.app import app
from tests.cli.terminal import COLUMNS, Done, environment

UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


def invoke(*arguments: str, dsn: str, width: int = COLUMNS) -> Done:
    """Run it with DATABASE_URL set."""
    ours = environment({"DATABASE_URL": dsn, "COLUMNS": str(width), "PGCONNECT_TIMEOUT": "10"})
    env = {name: ours.get(name) for name in os.environ.keys() | ours}
    done = CliRunner(env=env).invoke(app, arguments, prog_name="pgbudget", catch_exceptions=False)
    return Done(done.exit_code, done.stdout, done.stderr)


def picture(text: str) -> str:
    """The output with what differs from run to run replaced: ids and times."""
    text = UUID.sub("ID", text)
    text = re.sub(r"\b(?:\d+ h \d\d min|\d+ min|\d+ s)\b", "SPAN", text)
    return re.sub(r"(?<![\d:])(?:\d{4}-\d\d-\d\d )?\d\d:\d\d(?!:)", "TIME", text)
