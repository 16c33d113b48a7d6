"""The runner of the pages notices what it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgbudget.embedded import Server
from tests.docs.runner import Page, PageError

GOOD = """# A page

```sql
CREATE TABLE t AS SELECT gen_random_uuid() AS id, 'x' AS name; -- a comment
```

```sh
exit 1
```

```sql
SELECT id, name FROM t
UNION ALL SELECT '5f0c7f0a-8e0e-4d0e-9a55-2f6d3f0e6b01', 'y' ORDER BY name;
```

```text
                  id                  | name
--------------------------------------+------
 ac9d348a-72a3-5958-9675-1429cf614cd8 | x
 5f0c7f0a-8e0e-4d0e-9a55-2f6d3f0e6b01 | y
```

<!-- not run: it needs an extension -->
```sql
SELECT nonsense;
```

```sql
SELECT 1 / 0;
```
```text
ERROR:  division by zero
```

```sql
SELECT id AS same FROM t \\gset
SELECT :'same' = id AS known FROM t;
```

```text
 known
-------
 t
```
"""


@pytest.fixture
def psql(server: Server) -> Path:
    return server.bin_dir / "psql"


def run(text: str, psql: Path, dsn: str) -> list[str]:
    page = Page("page.md", text)
    return page.differences(page.run(psql, dsn))


def test_a_page_that_is_right_passes_and_need_not_be_refreshed(psql: Path, empty_dsn: str) -> None:
    page = Page("page.md", GOOD)
    outputs = page.run(psql, empty_dsn)
    assert page.differences(outputs) == []
    assert page.refreshed(outputs) == GOOD


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [
        (" | y", " | z", 11),
        ("known\n-------\n t", "known\n-------\n f", 35),
        ("ac9d348a", "ac9d348b", 11),
        ("division by zero\n", "division by zero\nmore\n", 28),
    ],
)
def test_another_output_is_noticed_and_refreshed(psql: Path, empty_dsn: str, right: str, wrong: str, line: int) -> None:
    page = Page("page.md", GOOD.replace(right, wrong))
    outputs = page.run(psql, empty_dsn)
    [difference] = page.differences(outputs)
    assert difference.startswith(f"page.md, line {line}: ")
    assert page.refreshed(outputs) == GOOD


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "```sql\nSELECT 1;\n```\n\n```sql\nSELECT 1 / 0;\n```\n",
            r"line 5: psql ended with 3\nERROR:  division by zero",
        ),
        ("```sql\nSELECT 1 / 0;\nSELECT 1;\n```\n", r"line 1: psql ended with 3"),
        ("```sql\n\\nonsense\n```\n", r"line 1: psql ended with 3"),
        ("```sql\nSELECT 1\n```\n", "line 1: its last statement has no end"),
        ("<!-- not run: -->\n```sql\nSELECT 1;\n```\n", "line 2: it says not why"),
        ("- ```sql\n  SELECT 1;\n  ```\n", "begin with ```sql"),
        ("  ```sql\n  SELECT 1;\n  ```\n", "begin with ```sql"),
        ("```SQL\nSELECT 1;\n```\n", "begin with ```sql"),
        ("```postgresql\nSELECT 1;\n```\n", "begin with ```sql"),
        ("~~~sql\nSELECT 1;\n~~~\n", "begin with ```sql"),
        ("```sql\nSELECT 1;\n", "begin with ```sql"),
    ],
)
def test_sql_that_fails_or_would_be_passed_over_is_an_error(psql: Path, empty_dsn: str, text: str, says: str) -> None:
    with pytest.raises(PageError, match=says):
        run(text, psql, empty_dsn)
