"""The report in a browser: on a phone and on a desk nothing stands out of the window, and it prints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.cli.states import STATES
from tests.report.browser import overflow, print_pdf, screenshot
from tests.rows import call, reserve

Connection = psycopg.Connection[Any]
Write = Callable[..., Path]


@pytest.mark.parametrize("state", ["healthy", "broken", "extreme"])
def test_it_fits_a_phone_and_a_desk(db: Connection, write: Write, state: str) -> None:
    call(db, "settle", reserve(db, 2, "x" * 200), 1)
    reserve(db, 1, "y" * 200)
    STATES[state](db)
    assert overflow(write(), 360, 1200) == [(0, []), (0, [])]


def test_what_does_not_fit_is_found(tmp_path: Path) -> None:
    page = tmp_path / "wide.html"
    page.write_text("<!DOCTYPE html><body><p style='width: 400px'>wide", "utf-8")
    [(more, outside), desk] = overflow(page, 360, 1200)
    assert more > 0
    assert outside == ["P wide"]
    assert desk == (0, [])


def test_it_prints_and_has_a_dark_side(db: Connection, write: Write, tmp_path: Path) -> None:
    STATES["healthy"](db)
    page = write()
    print_pdf(page, tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    pictures = []
    for dark in (False, True):
        picture = tmp_path / f"{dark}.png"
        screenshot(page, picture, width=600, height=300, dark=dark)
        pictures.append(picture.read_bytes())
    assert pictures[0] != pictures[1]
