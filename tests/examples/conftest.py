"""What examples run on: a database with prices, as a role that is a caller and nothing more, and Node."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from examples.run import PRICES
from tests.clock import Clock
from tests.needs import need
from tests.race import Connection

NODE = Path(__file__).parents[2] / "examples" / "node"


@pytest.fixture
def database_url(dsn: str, db: Connection, app_role: str) -> str:
    """The test's database, as `app`, in the words of a URL. It stays noon there: no day ends under an example."""
    Clock(db)
    db.execute(PRICES.read_bytes())
    assert dsn.startswith("postgresql://postgres@")
    return dsn.replace("//postgres@", f"//{app_role}@")


@pytest.fixture
def node() -> None:
    need(
        shutil.which("node") and (NODE / "node_modules").is_dir(),
        "the examples for Node need Node 18 or newer, and npm ci --prefix examples/node",
    )
