"""The pages of documentation that show figures: each table of a result stands between two markers that name it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.bench.tables import Table

SECTION = re.compile(r"(?P<begin>^<!-- figures: (?P<name>.+?) -->\n).*?(?P<end>^<!-- end of figures -->$)", re.M | re.S)


def with_figures(text: str, tables: Iterable[Table]) -> str:
    """The page with the figures of these tables.

    Raises:
        KeyError: if it shows a table that there is not.
    """
    known = {table.name: table.markdown() for table in tables}
    return SECTION.sub(lambda match: f"{match['begin']}\n{known[match['name']]}\n{match['end']}", text)
