"""One batch of pgbench: clients that are warm, start together, and are timed transaction by transaction.

A backend's first calls compile and plan, which no pooled connection pays again. pgbench knows no warm-up, so the script
of every client counts its own runs: the first ones roll back, then the client waits at a barrier, an advisory lock of
the harness. There the ledger is vacuumed too, so that nothing dead is in the way of what is measured. At a second
barrier, after the last run, the harness reads how long each backend was on a processor.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.bench.ledgers import Ledger
from tests.bench.subjects import Subject

# PL/pgSQL settles on a plan in the sixth execution.
WARM_UP = 6
START, END = 4242, 4243
SECONDS = 300.0


class BenchError(Exception):
    """A batch could not be measured."""


@dataclass(frozen=True)
class Batch:
    """What one batch took: transactions per second, each transaction's latency, and the backends' processor time."""

    tps: float
    latencies_us: list[int]
    cpu_us: float


def script(subject: Subject, transactions: int) -> str:
    """The subject's script with its warm-up before it and the barriers around it."""
    last = WARM_UP + transactions
    return f"""\\if :n < {WARM_UP}
BEGIN;
\\endif
\\if :n < {last}
{subject.script}
\\else
SELECT pg_advisory_lock_shared({END});
\\endif
\\if :n < {WARM_UP}
ROLLBACK;
\\endif
\\set n :n + 1
\\if :n = {WARM_UP}
SELECT pg_advisory_lock_shared({START});
\\endif
"""


def run(bin_dir: Path, ledger: Ledger, subject: Subject, *, clients: int, transactions: int) -> Batch:
    """Run `transactions` for each of the clients, measured from the moment when all of them are warm."""
    barrier = ledger.connection
    with tempfile.TemporaryDirectory() as folder:
        barrier.execute("SELECT pg_advisory_lock(%s), pg_advisory_lock(%s)", [START, END])
        file = Path(folder, "script.sql")
        file.write_text(script(subject, transactions))
        command = [str(bin_dir / "pgbench"), "--no-vacuum", "--protocol=prepared", f"--file={file}", "--define=n=0"]
        command += ["--log", f"--log-prefix={folder}/log", f"--client={clients}"]
        command += [f"--transactions={WARM_UP + transactions + 1}", ledger.dsn]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pgbench:
            try:
                backends = _await_all(barrier, START, pgbench, clients)
                ledger.vacuum()
                before = sum(map(processor_us, backends))
                barrier.execute("SELECT pg_advisory_unlock(%s)", [START])
                _await_all(barrier, END, pgbench, clients)
                cpu_us = sum(map(processor_us, backends)) - before
                barrier.execute("SELECT pg_advisory_unlock(%s)", [END])
                output, _ = pgbench.communicate(timeout=SECONDS)
            except BaseException:
                pgbench.kill()
                raise
        if pgbench.returncode != 0:
            raise BenchError(f"pgbench failed on {subject.name}:\n{output}")
        log = [line for path in Path(folder).glob("log.*") for line in path.read_text().splitlines()]
    tps, latencies = _read(log, transactions)
    return Batch(tps, latencies, cpu_us / (clients * transactions))


def _await_all(barrier: psycopg.Connection, lock: int, pgbench: subprocess.Popen[str], clients: int) -> list[int]:
    """Wait until all clients wait for the lock; return their backends' process ids."""
    waiting = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
    deadline = time.monotonic() + SECONDS
    while len(pids := [pid for (pid,) in barrier.execute(waiting, [lock])]) != clients:
        if pgbench.poll() is not None or time.monotonic() > deadline:
            pgbench.kill()
            raise BenchError(f"not all clients of pgbench came to the barrier:\n{pgbench.communicate()[0]}")
        time.sleep(0.005)
    return pids


def processor_us(pid: int) -> float:
    """The time that a process has spent on processors so far. Linux alone tells it to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1000


def _read(log: list[str], transactions: int) -> tuple[float, list[int]]:
    """What the log says: client, number of its transaction from 1, latency in µs, script, when it ended in s and µs."""
    rows = [[int(field) for field in line.split()[:6]] for line in log]
    rows = [row for row in rows if WARM_UP < row[1] <= WARM_UP + transactions]
    latencies = [row[2] for row in rows]
    ends = [row[4] * 1_000_000 + row[5] for row in rows]
    first = min(end - latency for end, latency in zip(ends, latencies, strict=True))
    return len(rows) / (max(ends) - first) * 1e6, latencies
