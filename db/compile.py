#!/usr/bin/env python3
"""Compile function and view files into migrations.

    python db/compile.py          fill the migrations and write SHA256SUMS
    python db/compile.py check    prove that nothing would change; needs no database

A function is edited in one place, `functions/` or `views/`. A migration names the files it carries:

    -- begin functions/settle.sql
    -- end functions/settle.sql

and this tool writes the file's text between the two lines. In the migration's rollback, the lines `-- begin compiled` and
`-- end compiled` take the way back, last file first: the text that an earlier migration carries, or else the DROP.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

DB = Path(__file__).resolve().parent
BLOCK = re.compile(r"^-- begin (?P<name>\S+\.sql)\n(?P<body>.*?)^-- end (?P=name)$", re.MULTILINE | re.DOTALL)
ROLLBACK_BLOCK = re.compile(r"^-- begin compiled\n.*?^-- end compiled$", re.MULTILINE | re.DOTALL)
OBJECT = re.compile(r"^COMMENT ON (FUNCTION|VIEW) (.+?)\s+IS\b", re.MULTILINE | re.DOTALL)


class CompileError(Exception):
    """The sources and the migrations do not fit together."""


def is_rollback(path: Path) -> bool:
    return path.name.endswith(".rollback.sql")


def fill(migration: str, sources: dict[str, str]) -> str:
    """The migration's text with every block's body taken from its source file."""

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in sources:
            raise CompileError(f"a migration carries {name}, but there is no such file")
        return f"-- begin {name}\n{sources[name]}-- end {name}"

    return BLOCK.sub(block, migration)


def drop(name: str, source: str) -> str:
    """The statement that removes what a source file creates."""
    commented = OBJECT.search(source)
    if commented is None:
        raise CompileError(f"{name} lacks its COMMENT ON FUNCTION or VIEW")
    kind, identity = commented.groups()
    return f"DROP {kind} IF EXISTS {' '.join(identity.split())};\n"


def way_back(migration: str, earlier: dict[str, str]) -> str:
    """What undoes a migration's blocks, given the blocks of all migrations before it."""
    blocks = [(match["name"], match["body"]) for match in BLOCK.finditer(migration)]
    return "\n".join(earlier[name] if name in earlier else drop(name, body) for name, body in reversed(blocks))


def compiled(series: Path) -> dict[Path, str]:
    """Every generated file of a series, with the text that it ought to have."""
    sources = {
        path.relative_to(series).as_posix(): path.read_text()
        for folder in ("functions", "views")
        for path in sorted((series / folder).rglob("*.sql"))
    }
    result: dict[Path, str] = {}
    carried: dict[str, str] = {}
    for path in sorted((series / "migrations").glob("*.sql")):
        if is_rollback(path):
            continue
        text = fill(path.read_text(), sources)
        rollback = path.with_suffix(".rollback.sql")
        if not rollback.exists():
            raise CompileError(f"{path.name} has no rollback file")
        back = f"-- begin compiled\n{way_back(text, carried)}-- end compiled"
        result[path] = text
        result[rollback] = ROLLBACK_BLOCK.sub(lambda _, back=back: back, rollback.read_text())
        carried.update((match["name"], match["body"]) for match in BLOCK.finditer(text))
    if missing := sorted(sources.keys() - carried.keys()):
        raise CompileError(f"no migration carries {', '.join(missing)}")
    sums = (f"{hashlib.sha256(text.encode()).hexdigest()}  {path.name}\n" for path, text in sorted(result.items()))
    result[series / "migrations" / "SHA256SUMS"] = "".join(sums)
    return result


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["check"]):
        print(__doc__)
        return 2
    stale = []
    try:
        for series in sorted(path.parent for path in DB.glob("*/migrations")):
            for path, text in compiled(series).items():
                if not path.exists() or path.read_text() != text:
                    stale.append(path.relative_to(DB))
                    if not arguments:
                        path.write_text(text)
    except CompileError as error:
        print(f"compile: {error}", file=sys.stderr)
        return 1
    for path in stale:
        print(f"{'stale' if arguments else 'wrote'}: {path}")
    return 1 if arguments and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
