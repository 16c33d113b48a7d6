r"""Runs the SQL of a page of documentation and holds it to the output that the page shows.

Every block ```sql of a page is given to psql, in order and in one session. Where a block ```text follows, psql must
print just that; elsewhere no statement may fail. A block that cannot run here says why in a comment right before it:
<!-- not run: reason -->. Ids that the database made are replaced by invented ones, the same in every run.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from tests.race import SECONDS

BLOCK = re.compile(
    r"(?:^<!-- not run: *(?P<reason>.*?) *-->\n)?^```sql\n(?P<sql>.*?)^```\n(?:\n*^```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
ANY_SQL = re.compile(r"^[^`~\n]*(?:`{3,}|~{3,})[ \t]*(?:\w*sql|postgres\w*)\b", re.MULTILINE | re.IGNORECASE)
UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
MARK = "--- block of the page ---"


class PageError(AssertionError):
    """The page is not what psql says, or cannot be read."""


@dataclass(frozen=True)
class Page:
    """A page of Markdown."""

    name: str
    text: str

    @property
    def blocks(self) -> list[re.Match[str]]:
        """The blocks of SQL, each with the groups `reason`, `sql` and `output`."""
        blocks = list(BLOCK.finditer(self.text))
        if len(blocks) != len(ANY_SQL.findall(self.text)):
            raise PageError(
                f"{self.name}: SQL is in blocks that begin with ```sql at the start of a line, closed by ```"
            )
        for block in blocks:
            if block["reason"] == "":
                raise PageError(f"{self.where(block)}: it says not why it is not run")
            if not re.search(r";\s*(--.*)?$|\\\w+.*$", block["sql"].rstrip()):
                raise PageError(f"{self.where(block)}: its last statement has no end")
        return blocks

    def where(self, block: re.Match[str]) -> str:
        line = self.text.count("\n", 0, block.start("sql"))
        return f"{self.name}, line {line}"

    def run(self, psql: Path, dsn: str, between: str = "") -> list[str]:
        """What psql prints for each block, "" for those that are not run. `between` is SQL to run after each."""
        script = ""
        for block in self.blocks:
            if block["reason"] is None:
                on_error = "on" if block["output"] is None else "off"
                script += f"\\set ON_ERROR_STOP {on_error}\n{block['sql']}\\set ON_ERROR_STOP on\n{between}\n"
            script += f"\\echo {MARK}\n"
        done = subprocess.run(
            [psql, "--no-psqlrc", "--quiet", "--pset=footer=off", dsn],
            input=script,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PGTZ": "UTC", "PGCLIENTENCODING": "UTF8"},
            encoding="utf-8",
            timeout=SECONDS,
            check=False,
        )
        *outputs, rest = done.stdout.split(f"{MARK}\n")
        if done.returncode or rest:
            raise PageError(f"{self.where(self.blocks[len(outputs)])}: psql ended with {done.returncode}\n{rest}")
        return [tidy(output) for output in self.with_invented_ids(outputs)]

    def with_invented_ids(self, outputs: list[str]) -> list[str]:
        """The outputs with the ids that the page's SQL does not name replaced, in the order in which they appear."""
        named = set(UUID.findall("".join(block["sql"] for block in self.blocks)))
        invented: dict[str, str] = {}

        def replaced(match: re.Match[str]) -> str:
            if match[0] in named:
                return match[0]
            return invented.setdefault(match[0], str(uuid5(NAMESPACE_URL, f"{self.name}#{len(invented)}")))

        return [UUID.sub(replaced, output) for output in outputs]

    def differences(self, outputs: list[str]) -> list[str]:
        """The blocks whose shown output is not what psql printed, each with both."""
        return [
            f"{self.where(block)}: the page shows\n{tidy(block['output'])}\npsql prints\n{output}"
            for block, output in zip(self.blocks, outputs, strict=True)
            if block["output"] is not None and tidy(block["output"]) != output
        ]

    def refreshed(self, outputs: list[str]) -> str:
        """The page's text with what psql printed in place of what it showed."""
        text = self.text
        for block, output in reversed(list(zip(self.blocks, outputs, strict=True))):
            if block["output"] is not None and tidy(block["output"]) != output:
                text = text[: block.start("output")] + output + text[block.end("output") :]
        return text


def tidy(output: str) -> str:
    """Without spaces at the ends of lines and without empty lines at the end."""
    lines = "\n".join(line.rstrip() for line in output.splitlines()).rstrip()
    return f"{lines}\n" if lines else ""
