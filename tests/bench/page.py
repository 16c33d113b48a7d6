"""The pages of documentation that show figures: each table of a result stands between two markers that name it."""

from __future__ import annotations

import re

from tests.bench.results import Results
from tests.bench.tables import tables

SECTION = re.compile(r"(?P<begin>^<!-- figures: (?P<name>.+?) -->\n).*?(?P<end>^<!-- end of figures -->$)", re.M | re.S)


def with_figures(text: str, results: Results) -> str:
    """The page with the figures of this result.

    Raises:
        KeyError: if it shows a table that there is not.
    """
    known = {table.name: table.markdown() for table in tables(results)}
    return SECTION.sub(lambda match: f"{match['begin']}\n{known[match['name']]}\n{match['end']}", text)
