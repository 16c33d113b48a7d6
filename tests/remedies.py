"""Doctor's remedies, followed as a DBA would who has them on his screen, beside a caller who goes on calling."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from pgbudget.embedded import Server
from tests.cli.command import invoke
from tests.cli.terminal import environment
from tests.race import SECONDS

Connection = psycopg.Connection[Any]
Trouble = tuple[str, str, str, str | None]

_PASTED = re.compile(
    r"(?:^|^[A-Z][^'\"]*?: )"
    r"(?P<pasted>(?:pgbudget|pip|psql|ALTER|ANALYZE|BEGIN|DROP|GRANT|REVOKE|SELECT|SET|VACUUM)\b.*)"
)


@dataclass(frozen=True)
class Fault:
    """A check, the statements that give it something to say, the verdict, and what it says.

    The mend ends it; where that is prose, `by_hand` is what its reader does: SQL, or a command line. `calls` is how a
    `caller` calls, who may lose nothing by it.
    """

    check: str
    offence: str
    verdict: str
    says: str
    by_hand: str | None = None
    caller: str = "app"
    calls: str = "SELECT budget.reserve_advisory(0.001, 'svc')"


def examined(dsn: str, *options: str) -> dict[str, Any]:
    """The checks by their names, of doctor with these options.

    What the server of the tests leaves out to be fast is not held against it.
    """
    checks = json.loads(invoke("doctor", "--json", *options, dsn=dsn).out)["checks"]
    return {check["name"]: check for check in checks if check["name"] != "server"}


def troubles(dsn: str, *options: str) -> list[Trouble]:
    """The check, verdict, what was found and the mend, of all that is not well."""
    return [
        (name, finding["verdict"], finding["found"], finding["mend"])
        for name, check in examined(dsn, *options).items()
        for finding in check["findings"]
        if finding["verdict"] != "info"
    ]


def pasted(mend: str) -> str | None:
    """What of a mend is to be pasted, behind a clause that ends with a colon; None where it is prose."""
    if mend.endswith("."):
        return None
    found = _PASTED.fullmatch(mend)
    assert found, f"neither prose nor to be pasted: {mend}"
    return found["pasted"]


def follow(server: Server, dsn: str, remedy: str) -> None:
    """Paste SQL into psql, or a command line into a shell, where DATABASE_URL and the PATH are set. No error comes."""
    path = f"{Path(sys.executable).parent}:{server.bin_dir}:/usr/bin:/bin"
    env = environment({"DATABASE_URL": dsn, "PATH": path, "PGOPTIONS": "-cclient_min_messages=warning"})
    command = ["psql", "--no-psqlrc", "--quiet", dsn]
    if re.match("pgbudget|pip|psql", remedy):
        command, remedy = ["bash", "-eu", "-o", "pipefail"], f"export PSQLRC=/dev/null\n{remedy}"
    done = subprocess.run(command, input=f"{remedy}\n;\n" if command[0] == "psql" else remedy, env=env,
                          capture_output=True, text=True, timeout=SECONDS, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@contextmanager
def caller(dsn: str, role: str, calls: str) -> Iterator[None]:
    """A session of that role calls all the time, and also once more at the end.

    No call fails, or only the last one counts if those before already failed.
    """
    with psycopg.connect(dsn, user=role, autocommit=True) as connection:
        errors, stop, started = [], threading.Event(), threading.Event()

        def call() -> str | None:
            try:
                connection.execute(calls.encode())
            except psycopg.Error as error:
                return f"{error.sqlstate}: {error}"
            return None

        def go_on() -> None:
            while not stop.wait(0.002):  # as often as that, and the rest of the machine is left to whom it calls beside
                errors.append(call())
                started.set()

        thread = threading.Thread(target=go_on)
        thread.start()
        try:
            assert started.wait(SECONDS)
            yield
        finally:
            stop.set()
            thread.join()
        at_last = call()
        assert at_last is None, at_last
        assert errors[0] or not any(errors), errors


def mended(server: Server, dsn: str, db: Connection, fault: Fault) -> None:
    """Commit the offence: it is found, and its mend ends it while the caller calls."""
    db.execute(fault.offence.encode())
    [(check, verdict, _, mend)] = [trouble for trouble in troubles(dsn) if fault.says in trouble[2]]
    assert (check, verdict) == (fault.check, fault.verdict)
    assert mend
    remedy = pasted(mend)
    assert (remedy is None) == (fault.by_hand is not None), mend
    with caller(dsn, fault.caller, fault.calls):
        follow(server, dsn, remedy or fault.by_hand or "")
    assert [trouble for trouble in troubles(dsn) if trouble[0] == check] == []
