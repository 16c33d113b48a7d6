"""The examples do what examples/README.md shows. With DOCS_REFRESH=1, and without -n, they write it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from examples.run import command
from pgbudget import migrations
from pgbudget.embedded import Server
from tests.race import SECONDS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "examples" / "README.md"
BLOCK = re.compile(r"```sh\n(?P<commands>[^`]*?)```\n\n```text\n(?P<output>[^`]*?)```")
RUN = "python examples/run.py "
SHOWN = {block["commands"]: block["output"] for block in BLOCK.finditer(PAGE.read_text("utf-8"))}
ON_A_SERVER = [commands.removeprefix(RUN).split() for commands in SHOWN if commands.startswith(RUN)]
PGLITE = "pgbudget sql --single-transaction > pgbudget.sql\nnode examples/node/pglite.mjs pgbudget.sql\n"


def output(*arguments: str | Path, cwd: Path = ROOT, **env: str) -> str:
    done = subprocess.run(
        arguments,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "pydriver"), **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), shlex.join(map(str, arguments))
    return re.sub(" +$", "", done.stdout, flags=re.MULTILINE)


def hold_to(commands: str, printed: str) -> None:
    if not os.environ.get("DOCS_REFRESH"):
        assert printed == SHOWN[commands]
        return
    before, after = PAGE.read_text("utf-8").split(f"```sh\n{commands}```\n\n```text\n")
    PAGE.write_text(f"{before}```sh\n{commands}```\n\n```text\n{printed}{after[after.index('```') :]}", "utf-8")


@pytest.mark.parametrize("example", ON_A_SERVER, ids=" ".join)
def test_an_example_prints_what_is_shown(
    example: list[str], server: Server, database_url: str, request: pytest.FixtureRequest
) -> None:
    name, *arguments = example
    if name.endswith(".mjs"):
        request.getfixturevalue("node")
    start = command(ROOT / name, server.bin_dir, database_url)
    hold_to(f"{RUN}{' '.join(example)}\n", output(*start, *arguments, DATABASE_URL=database_url))


def test_pglite_runs_all_of_it(tmp_path: Path, node: None) -> None:
    (tmp_path / "pgbudget.sql").write_text(migrations.script("core", single_transaction=True), "utf-8")
    hold_to(PGLITE, output("node", ROOT / "examples/node/pglite.mjs", "pgbudget.sql", cwd=tmp_path))


def test_an_example_runs_on_a_server_of_its_own() -> None:
    printed = output(sys.executable, "examples/run.py", "examples/psql.sql")
    assert printed == SHOWN[f"{RUN}examples/psql.sql\n"]


def test_every_example_is_shown() -> None:
    programs = {str(path.relative_to(ROOT)) for path in PAGE.parent.rglob("*.mjs") if "node_modules" not in path.parts}
    programs |= {str(path.relative_to(ROOT)) for path in PAGE.parent.glob("python/*.py")}
    shown = {word for commands in SHOWN for word in commands.split() if word in programs}
    assert programs - shown == {"examples/node/supabase.mjs"}  # test_postgrest.py runs it


def test_javascript_in_the_pages_is_that_of_an_example() -> None:
    programs = [path.read_text("utf-8") for path in (ROOT / "examples" / "node").glob("*.mjs")]
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    blocks = [
        block
        for page in pages
        for block in re.findall(r"```(?:js|javascript)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    ]
    assert len(blocks) >= 2
    assert [block for block in blocks if not any(block in program for program in programs)] == []
