"""Headless Chromium: what a page looks like, what it measures, and how it prints."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from html import escape, unescape
from pathlib import Path

from tests.needs import need
from tests.race import SECONDS


def chromium(*arguments: str) -> str:
    """Run it on a profile of its own, without any network; return what it prints."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    need(found, "there is no chromium; apt install chromium")
    assert found
    with tempfile.TemporaryDirectory() as profile:
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        options += ["--no-first-run", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"]
        options.append(f"--user-data-dir={profile}")
        done = subprocess.run(
            [found, *options, *arguments],
            env={**os.environ, "HOME": profile},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
    return done.stdout


def screenshot(page: Path, picture: Path, *, width: int, height: int, dark: bool = False) -> None:
    """Take a picture of a page at a size; no width below 500, which is as narrow as its window gets."""
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    chromium(f"--screenshot={picture}", f"--window-size={width},{height}", scheme, page.as_uri())


_MEASURE = """
    onload = () => {
        const told = [...document.querySelectorAll('iframe')].map((frame) => {
            const page = frame.contentDocument;
            const outside = [...page.querySelectorAll('body *')].filter((element) => {
                const box = element.getBoundingClientRect();
                return box.width > 0 && (box.right > Number(frame.width) + 0.5 || box.left < -0.5);
            });
            const texts = outside.map((element) => element.tagName + ' ' + element.textContent.slice(0, 60));
            return [page.documentElement.scrollWidth - frame.width, texts];
        });
        document.body.replaceChildren(JSON.stringify(told));
    };
"""


def framed(page: Path, *widths: int, script: str = "") -> Path:
    """A page beside this one that shows it in frames of these widths, and has a script."""
    frame = page.with_suffix(".framed.html")
    text = escape(page.read_text("utf-8"))
    frames = "".join(f'<iframe width="{width}" height="4000" srcdoc="{text}"></iframe>' for width in widths)
    style = "body { margin: 0 } iframe { border: 0; display: block }"
    frame.write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><style>{style}</style>{frames}<script>{script}</script>', "utf-8"
    )
    return frame


def overflow(page: Path, *widths: int) -> list[tuple[int, list[str]]]:
    """For each width of a window: how much wider the page gets, and which of its elements stand out."""
    dom = chromium("--dump-dom", framed(page, *widths, script=_MEASURE).as_uri())
    found = re.search(r"<body>(.*)</body>", dom, re.DOTALL)
    assert found, dom
    return [(more, outside) for more, outside in json.loads(unescape(found[1]))]


def print_pdf(page: Path, paper: Path) -> None:
    """Print a page."""
    chromium(f"--print-to-pdf={paper}", "--no-pdf-header-footer", page.as_uri())
