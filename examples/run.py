"""Run an example on a PostgreSQL of its own, made for it and gone afterwards: python examples/run.py examples/psql.sql.

On a database of yours set DATABASE_URL and start the example itself: with psql -f, python or node.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg

from pgbudget.embedded import EmbeddedError, Server
from pgbudget.migrations import migrate

PRICES = Path(__file__).with_name("prices.sql")


def command(example: Path, bin_dir: Path, database_url: str) -> list[str | Path]:
    """The command line that starts an example."""
    match example.suffix:
        case ".sql":
            return [bin_dir / "psql", "--no-psqlrc", "--quiet", "--file", example, database_url]
        case ".mjs":
            return ["node", example]
        case _:
            return [sys.executable, example]


def main(example: Path, *arguments: str) -> int:
    with Server() as server:
        migrate(server.dsn())
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute(PRICES.read_bytes())
            connection.execute("CREATE ROLE app LOGIN")  # all that an application needs is to be a caller
            connection.execute("GRANT budget_caller TO app")
        url = server.dsn().replace(f"//{server.user}@", "//app@")
        start = [*command(example, server.bin_dir, url), *arguments]
        return subprocess.run(start, env={**os.environ, "DATABASE_URL": url}, check=False).returncode


if __name__ == "__main__":
    if len(sys.argv) == 1:
        sys.exit(__doc__)
    try:
        sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
    except EmbeddedError as error:
        sys.exit(f"error: {error}")
