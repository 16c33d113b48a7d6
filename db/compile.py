#!/usr/bin/env python3
"""Compile function and view files into migrations.

    python db/compile.py          fill the migrations, write SHA256SUMS and SEAM
    python db/compile.py check    prove that nothing would change and no rule of upgrades is broken; needs no database
    python db/compile.py release  freeze the migrations that are there: write RELEASED

A function is edited in one place, `functions/` or `views/`. A migration names the files it carries:

    -- begin functions/settle.sql
    -- end functions/settle.sql

and this tool writes the file's text between the two lines. In the migration's rollback, the lines `-- begin compiled`
and `-- end compiled` take the way back, last file first: what an earlier migration makes of the same function or view,
or else the DROP. What serves for some steps of a migration only, until a file of `functions/` takes its place, is in
`interim/`.

What every way back asks first stands in guard.sql, and comes between `-- begin guard` and `-- end guard`.

Where another series carries a file of core's name, it replaces that function: both have one signature, and SEAM holds
the sums of both. Whoever changes core's half alone is stopped, here and in a check. A file that the other series does
not have itself is core's. A migration of core that carries such a function calls budget._note_found and _keep_found.

Others' databases hold what was released. From then on, and checked at every run:

- a released migration stays as it is; what changes afterwards comes in a new migration with a higher number;
- a public function keeps its signature: name, argument names, types, defaults, result;
- a new migration is named NNNN.name_pre or NNNN.name_post; only a _post may DROP or RENAME (indexes, defaults and NOT
  NULL aside), and only once the _pre of its name has been released, so that callers had time to leave what goes.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable
from pathlib import Path

DB = Path(__file__).resolve().parent
BLOCK = re.compile(r"^-- begin (?P<name>\S+\.sql)\n(?P<body>.*?)^-- end (?P=name)$", re.MULTILINE | re.DOTALL)
ROLLBACK_BLOCK = re.compile(r"^-- begin compiled\n.*?^-- end compiled$", re.MULTILINE | re.DOTALL)
GUARD_BLOCK = re.compile(r"^-- begin guard\n.*?^-- end guard$", re.MULTILINE | re.DOTALL)
OBJECT = re.compile(r"^COMMENT ON (FUNCTION|VIEW) (.+?)\s+IS\b", re.MULTILINE | re.DOTALL)
SIGNATURE = re.compile(r"^CREATE OR REPLACE FUNCTION (.+?)^LANGUAGE ", re.MULTILINE | re.DOTALL)
UPGRADE = re.compile(r"\d{4}\.(?P<name>\w+)_(?P<when>pre|post)\.sql")
REMOVAL = re.compile(r"\bDROP\s+(?!INDEX\b|DEFAULT\b|NOT\s+NULL\b)|\bRENAME\b", re.IGNORECASE)


class CompileError(Exception):
    """The sources and the migrations do not fit together."""


def is_rollback(path: Path) -> bool:
    return path.name.endswith(".rollback.sql")


def blocks(migration: str) -> dict[str, str]:
    """The files that a migration carries, in its order."""
    return {match["name"]: match["body"] for match in BLOCK.finditer(migration)}


def fill(migration: str, sources: dict[str, str]) -> str:
    """The migration's text with every block's body taken from its source file."""

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in sources:
            raise CompileError(f"a migration carries {name}, but there is no such file")
        return f"-- begin {name}\n{sources[name]}-- end {name}"

    return BLOCK.sub(block, migration)


def object_of(name: str, source: str) -> str:
    """What a source file creates, in the words of DROP."""
    commented = OBJECT.search(source)
    if commented is None:
        raise CompileError(f"{name} lacks its COMMENT ON FUNCTION or VIEW")
    kind, identity = commented.groups()
    return f"{kind} IF EXISTS {plain(identity)}"


def standing(migrations: Iterable[str]) -> dict[str, str]:
    """The source of every function and view as it is after these migrations."""
    return {object_of(*block): block[1] for text in migrations for block in blocks(text).items()}


def fill_rollback(rollback: str, back: str) -> str:
    return ROLLBACK_BLOCK.sub(lambda _: f"-- begin compiled\n{back}-- end compiled", rollback)


def guarded(text: str) -> str:
    """The text with the guard in its place."""
    return GUARD_BLOCK.sub(lambda _: f"-- begin guard\n{(DB / 'guard.sql').read_text()}-- end guard", text)


def way_back(migration: str, earlier: dict[str, str]) -> str:
    """What undoes a migration's blocks, given what stood before it."""
    carried = [object_of(*block) for block in reversed(blocks(migration).items())]
    return "\n".join(earlier.get(thing, f"DROP {thing};\n") for thing in dict.fromkeys(carried))


def sums(files: dict[Path, str]) -> str:
    """What `sha256sum` says of the files."""
    lines = (f"{hashlib.sha256(text.encode()).hexdigest()}  {path.name}\n" for path, text in sorted(files.items()))
    return "".join(lines)


def compiled(series: Path) -> dict[Path, str]:
    """Every generated file of a series, with the text that it ought to have."""
    sources = {
        path.relative_to(series).as_posix(): path.read_text()
        for folder in ("functions", "interim", "views")
        for path in sorted((series / folder).rglob("*.sql"))
    }
    frozen = released(series)
    result: dict[Path, str] = {}
    carried: dict[str, str] = {}
    core = core_chain(series)
    below = {name: body for text in core for name, body in blocks(text).items()}
    before = standing(core)
    for path in sorted((series / "migrations").glob("*.sql")):
        if is_rollback(path):
            continue
        rollback = path.with_suffix(".rollback.sql")
        if not rollback.exists():
            raise CompileError(f"{path.name} has no rollback file")
        text, back = path.read_text(), rollback.read_text()
        if path not in frozen:
            text = guarded(fill(text, below | sources))
            back = guarded(fill_rollback(back, way_back(text, before)))
        result |= {path: text, rollback: back}
        carried |= blocks(text)
        before |= standing([text])
    if missing := sorted(sources.keys() - carried.keys()):
        raise CompileError(f"no migration carries {', '.join(missing)}")
    check_upgrade(frozen, {path: text for path, text in result.items() if path not in frozen}, sources)
    if changed := sorted(name for name, source in sources.items() if carried[name] != source):
        raise CompileError(f"released as it was before: {', '.join(changed)}; a new migration must carry it")
    result[series / "migrations" / "SHA256SUMS"] = sums(result)
    if pairs := {name: (below[name], sources[name]) for name in sorted(sources.keys() & below.keys())}:
        result[series / "SEAM"] = seam(series, pairs)
    return result


def core_chain(series: Path) -> list[str]:
    """Core's migrations, which every other series is built on."""
    core = DB / "core"
    if series == core:
        return []
    return [text for path, text in sorted(compiled(core).items()) if path.suffix == ".sql" and not is_rollback(path)]


def seam(series: Path, pairs: dict[str, tuple[str, str]]) -> str:
    """What `sha256sum` says of core's functions and of those that replace them, seen from the folder of all series."""
    record = series / "SEAM"
    listed = record.read_text().splitlines() if record.exists() else []
    recorded = {file: sum_ for sum_, file in (line.split() for line in listed)}
    lines = []
    for name, halves in pairs.items():
        files = (f"core/{name}", f"{series.name}/{name}")
        if signature(halves[0]) != signature(halves[1]):
            raise CompileError(f"{files[1]} must have the signature of {files[0]}: {signature(halves[0])}")
        now = [hashlib.sha256(half.encode()).hexdigest() for half in halves]
        before = [recorded.get(file) for file in files]
        if None not in before and now[0] != before[0] and now[1] == before[1]:
            raise CompileError(
                f"{files[0]} has changed, and {files[1]}, which replaces it, has not; "
                f"change it too or, if it is right as it is, take both lines out of {series.name}/SEAM"
            )
        lines += [f"{sum_}  {file}\n" for sum_, file in zip(now, files, strict=True)]
    return "".join(lines)


# ------------------------------------------------------------------------------------------------------------ releases


def released(series: Path) -> dict[Path, str]:
    """The migrations and rollbacks that never change again, as they stand and as they were released."""
    migrations = series / "migrations"
    record = migrations / "RELEASED"
    listed = record.read_text() if record.exists() else ""
    paths = [migrations / line.split()[1] for line in listed.splitlines()]
    frozen = {path: path.read_text() if path.exists() else "" for path in paths}
    if edited := set(listed.splitlines()) - set(sums(frozen).splitlines()):
        names = ", ".join(sorted(line.split()[1] for line in edited))
        raise CompileError(f"released, and not what it was any more: {names}; restore it and write a new migration")
    return frozen


def check_upgrade(frozen: dict[Path, str], new: dict[Path, str], sources: dict[str, str]) -> None:
    """Hold what comes after a release to the rules above."""
    for text in frozen.values():
        for name, body in blocks(text).items():
            if re.match("functions/[^_]", name) and signature(sources.get(name, "")) != signature(body):
                raise CompileError(f"{name} must keep its released signature: {signature(body)}")
    names = {path.name for path in frozen if not is_rollback(path)}
    for path, text in sorted(new.items() if frozen else ()):
        if is_rollback(path):
            continue
        kind = UPGRADE.fullmatch(path.name)
        if kind is None or path.name[:4] <= max(names)[:4]:
            raise CompileError(
                f"{path.name} must be NNNN.name_pre.sql or NNNN.name_post.sql, and come after {max(names)}"
            )
        by_hand = re.sub("--.*", "", BLOCK.sub("", text))
        if kind["when"] == "pre" and (removal := REMOVAL.search(by_hand)):
            raise CompileError(f"{path.name} holds {removal[0].strip()}, which only a _post migration may")
        if kind["when"] == "post" and not any(name[4:] == f".{kind['name']}_pre.sql" for name in names):
            raise CompileError(f"{path.name} needs a {kind['name']}_pre that was released before it")


def signature(source: str) -> str:
    """How a function is called and what it returns."""
    found = SIGNATURE.search(source)
    return plain(found[1]) if found else ""


def plain(declaration: str) -> str:
    """A declaration however it was laid out."""
    return re.sub(r"(?<=\() | (?=\))", "", " ".join(declaration.split()))


def stale() -> dict[Path, str]:
    """The generated files of all series that differ from what they ought to be, and that."""
    files = (file for chain in DB.glob("*/migrations") for file in compiled(chain.parent).items())
    return {path: text for path, text in sorted(files) if not path.exists() or path.read_text() != text}


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["check"], ["release"]):
        print(__doc__)
        return 2
    try:
        todo = stale()
    except CompileError as error:
        print(f"compile: {error}", file=sys.stderr)
        return 1
    for path, text in todo.items():
        print(f"{'stale' if arguments else 'wrote'}: {path.relative_to(DB)}")
        if not arguments:
            path.write_text(text)
    if arguments and todo:
        return 1
    if arguments == ["release"]:
        for path in DB.glob("*/migrations/SHA256SUMS"):
            path.with_name("RELEASED").write_text(path.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
