"""`pgbudget doctor`."""

from __future__ import annotations

from textwrap import wrap

import click
from rich.console import Console
from rich.text import Text

from pgbudget.cli._common import OK, REFUSED, accepts_owner, dsn_option, json_option, out, print_json, printable
from pgbudget.doctor import Check, examine

_MARKS = {"ok": ("+", "green"), "note": ("!", "yellow"), "wrong": ("x", "bold red"), "unknown": ("?", "yellow")}


@click.command()
@dsn_option
@json_option
@click.pass_context
def doctor(ctx: click.Context, *, dsn: str, as_json: bool) -> None:
    """Look whether all is as it should be, and say how to mend it.

    Changes nothing. Each line is a check: + is well, ! may be meant, x is wrong, ? this role may not look at it. Ask
    as the role that migrated, which may see all of it. Exits with 1 when something is wrong.

    Where another role could run its code with your rights, as in whatever a superuser reads, only the catalogs are
    looked at; --accept-owner trusts the owner.

    Looked at: whose code runs, version and pending migrations, the functions' bodies, settings and owner, who may call
    them and who else may write the tables, constraints, triggers and row security, the limits, a freeze, the time
    zone, both clocks, the invariants, lapsed holds, and whether the day's sum uses its index.
    """
    console, checks = out(), []
    with console.status("looking") as progress:
        for check in examine(dsn, lambda name: progress.update(f"looking: {name}"), accept_owner=accepts_owner()):
            checks.append(check)
            if not as_json:
                _show(console, check)
    wrong = [check.name for check in checks if check.verdict == "wrong"]
    if as_json:
        print_json({"healthy": not wrong, "checks": checks})
    else:
        rest = [sum(check.verdict == verdict for check in checks) for verdict in ("note", "unknown")]
        notes = [
            f"{number} {what}" for number, what in zip(rest, ("to think about", "not looked at"), strict=True) if number
        ]
        summary = (
            f"wrong: {', '.join(wrong)}"
            if wrong
            else "nothing wrong in what was looked at"
            if rest[1]
            else "all is well"
        )
        console.print(Text(f"\n{'; '.join([summary, *notes])}", style="bold red" if wrong else "bold green"))
    ctx.exit(REFUSED if wrong else OK)


def _show(console: Console, check: Check) -> None:
    """Print a check and its findings, each with a hanging indent, and what mends it below."""
    mark, style = _MARKS[check.verdict]
    console.print(Text.assemble((mark, style), " ", (check.name, "bold")))
    for finding in check.findings:
        mark, style = _MARKS.get(finding.verdict, (" ", "dim"))
        lines = [(line, style if mark == " " else "") for line in _wrapped(finding.found, console.width)]
        # What is to be pasted stays one line, which a terminal wraps by itself: a name or a command may have spaces.
        mend = finding.mend or ""
        lines += [(line, "cyan") for line in (_wrapped(mend, console.width) if mend[-1:] in ("", ".") else [mend])]
        for number, line in enumerate(lines):
            console.print(Text.assemble("  ", (" " if number else mark, style), " ", line), soft_wrap=True)


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(printable(text), max(8, width - 4), break_on_hyphens=False)
