"""What the figures were taken on: the machine, how fast it syncs a write to its disk, and the server."""

from __future__ import annotations

import os
import platform
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from pgbudget.embedded import Server
from tests.bench.ledgers import MEMORY_MIB, SETTINGS, filesystem
from tests.bench.rounds import percentile


def machine() -> dict[str, Any]:
    """Processor, memory, kernel, how busy all of it was when the run began, and who goes first (chrt of util-linux)."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "processor": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(MEMORY_MIB / 1024, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "scheduling": "normal" if os.sched_getscheduler(0) == os.SCHED_OTHER else "before all else",
        "load_before": round(os.getloadavg()[0], 2),
    }


def server_facts(server: Server, connection: psycopg.Connection) -> dict[str, Any]:
    """The versions, and what is set."""
    facts = connection.execute(
        "SELECT current_setting('server_version'), budget.version(),"
        " (SELECT jsonb_object_agg(name, current_setting(name)) FROM unnest(%s::text[]) AS name)",
        [[*SETTINGS, "wal_sync_method"]],
    ).fetchone()
    assert facts is not None
    return {
        "postgresql": facts[0],
        "pgbudget": facts[1],
        "settings": facts[2],
        "filesystem": filesystem(server.data_dir),
    }


def fsync_us(folder: Path, writes: int = 500) -> dict[str, float]:
    """How long the disk takes to write a page of 8 KiB and to sync it, as each commit does at least once."""
    taken = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        page = os.urandom(8192)
        os.pwrite(file.fileno(), page, 0)
        os.fsync(file.fileno())
        for _ in range(writes):
            begun = time.perf_counter()
            os.pwrite(file.fileno(), page, 0)
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - begun) * 1e6)
    return {"p50_us": round(percentile(taken, 0.50), 1), "p99_us": round(percentile(taken, 0.99), 1)}
