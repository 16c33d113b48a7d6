"""docs/operations.md lists doctor's checks with their remedies, read from the checks. DOCS_REFRESH=1 writes it."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pgbudget import doctor, migrations

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
PLACE = re.compile(r"(?<=<!-- doctor's checks: generated -->\n).*(?=<!-- end -->)", re.DOTALL)

_CHECK = re.compile(r"^-- check: (?P<name>[^\n]+)\n(?P<query>.+?;)$", re.MULTILINE | re.DOTALL)
_MENDS = re.compile(r"^-- mends: (.+)$", re.MULTILINE)
_COMMENT_OR_TEXT = re.compile(r"--[^\n]*|(?P<text>'(?:[^']|'')*'(?:\s+'(?:[^']|'')*')*)")
_COMMAND = r"(?:(?:ALTER|ANALYZE|DROP|GRANT|REVOKE|SELECT|SET|VACUUM|pip|psql) |BEGIN; |pgbudget (?!needs|is)).*[^.]"
_REMEDY = re.compile(rf"(?P<intro>[A-Z][^:]*: )?(?P<command>{_COMMAND})?|(?P<prose>(?:pgbudget|[A-Z]).* .*\.)")


def remedies(texts: Iterable[str]) -> Iterator[str]:
    """Those of the texts that are one, or the clause before one, as Markdown with … for what is filled in."""
    before = ""
    for text in dict.fromkeys(texts):
        found = _REMEDY.fullmatch(re.sub(r"%[sIL]|\{\}", "…", text))
        if not text or not found:
            continue
        if found["prose"]:
            yield found["prose"]
        elif found["command"]:
            yield f"{found['intro'] or before}`{found['command']}`"
        before = "" if found["command"] else found["intro"] or ""


def in_sql(query: str) -> Iterator[str]:
    """The texts of a query; those with nothing between them are one."""
    for match in _COMMENT_OR_TEXT.finditer(query):
        if match["text"]:
            yield re.sub(r"'\s+'", "", match["text"])[1:-1].replace("''", "'")


def in_python(node: ast.AST, functions: dict[str, ast.FunctionDef], seen: frozenset[str]) -> Iterator[str]:
    """The texts of a function of doctor.py, of those that it calls, and of the constants that it names."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in each.values)
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield "" if each.value.startswith(("SELECT", "SET", "EXPLAIN")) else each.value
        elif isinstance(each, ast.Name) and isinstance(constant := getattr(doctor, each.id, None), str):
            yield constant
        elif isinstance(each, ast.Name) and each.id in functions and each.id not in seen:
            yield from in_python(functions[each.id], functions, seen | {each.id})
        elif not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)):  # a docstring
            yield from in_python(each, functions, seen)


def of_the_client() -> Iterator[tuple[str, list[str]]]:
    """The checks of doctor.py: each is yielded with its name, its series and the function that looks."""
    module = ast.parse(Path(doctor.__file__).read_text("utf-8"))
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(functions["_checks"]):
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
            name, _, look = node.value.elts
            looks = next(n.id for n in ast.walk(look) if isinstance(n, ast.Name) and n.id in functions)
            if looks != "_asked":  # what doctor.sql has
                [title] = in_python(ast.Tuple([name]), {}, frozenset())
                yield title, list(remedies(in_python(functions[looks], functions, frozenset({looks}))))


def of_the_series() -> Iterator[tuple[str, list[str]]]:
    """The checks of each series' doctor.sql."""
    for series in sorted(migrations.known_series(), key=lambda series: series != "core"):
        file = migrations.series_dir(series) / "doctor.sql"
        for match in _CHECK.finditer(file.read_text("utf-8") if file.is_file() else ""):
            name = match["name"] if series == "core" else f"{match['name']} ({series})"
            yield name, list(remedies(_MENDS.findall(match["query"]) or in_sql(match["query"])))


def listed() -> str:
    rows = [
        f"| {name} | {'<br>'.join(mends).replace('|', chr(92) + '|') or 'what it finds says what to do'} |\n"
        for name, mends in (*of_the_client(), *of_the_series())
    ]
    return "".join(["| check | remedies |\n| --- | --- |\n", *rows])


def test_every_check_is_on_the_page_with_its_remedies() -> None:
    page, written = PAGE.read_text("utf-8"), listed()
    if os.environ.get("DOCS_REFRESH"):
        page = PLACE.sub(lambda _: written, page)
        PAGE.write_text(page, "utf-8")
    found = PLACE.search(page)
    assert found
    assert found[0] == written, "run DOCS_REFRESH=1 pytest tests/docs/test_doctor_page.py"
