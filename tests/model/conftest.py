"""What the model needs to know from the server."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest


@pytest.fixture(autouse=True)
def server_zones(db: psycopg.Connection[Any]) -> Iterator[None]:
    """The time zones as the server knows them. A server that has none of its own uses the system's."""
    found = db.execute("SELECT setting FROM pg_config WHERE name = 'SHAREDIR'").fetchone()
    assert found is not None
    zones = Path(found[0]) / "timezone"
    if zones.is_dir():
        zoneinfo.reset_tzpath([str(zones)])
        zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()
