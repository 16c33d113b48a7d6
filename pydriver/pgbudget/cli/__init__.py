"""The command line, `pgbudget`. It needs the extra `cli`; without it, it says so."""

from __future__ import annotations

import sys

_OURS = ("click", "rich", "yoyo", "sqlparse")


def main() -> None:
    """Run the command line and exit with one of the codes that `pgbudget --help` lists."""
    try:
        from pgbudget.cli.app import app  # noqa: PLC0415 - what it imports may not be installed
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OURS:
            raise
        sys.exit(f"pgbudget: {error.name} is not installed; the command line needs: pip install 'pgbudget[cli]'")
    app(prog_name="pgbudget")
