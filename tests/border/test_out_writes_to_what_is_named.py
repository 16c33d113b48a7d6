"""`--out` follows `cat > file`: a device, a pipe, a link's target and a file's mode are afterwards what they were."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pgbudget.embedded import Server
from tests.cli.command import invoke
from tests.cli.terminal import Done

Write = Callable[[Path], Done]
IS_ROOT = os.geteuid() == 0
CALLS = "time,service,estimate,actual,duration_s\n2025-10-03T09:00:00Z,a,40,10,3600\n"


@pytest.fixture(params=["report", "replay"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Write:
    """Write a page to a path."""
    if request.param == "report":
        dsn = request.getfixturevalue("dsn")
        return lambda path: invoke("report", "--out", str(path), dsn=dsn)
    server: Server = request.getfixturevalue("server")
    calls = tmp_path / "calls.csv"
    calls.write_text(CALLS, "utf-8")
    return lambda path: invoke("replay", str(calls), "--out", str(path), "--dsn", server.dsn(), dsn="")


def is_page(path: Path) -> bool:
    return path.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_each_kind_of_file(write: Write, tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        new = tmp_path / "new.html"
        assert write(new).code == 0
        assert stat.S_IMODE(new.stat().st_mode) == 0o640

        new.chmod(0o604)
        new.write_text("old")
        link, dangling = tmp_path / "link.html", tmp_path / "dangling.html"
        link.symlink_to("new.html")
        dangling.symlink_to("made.html")
        for path in (link, dangling):
            assert write(path).code == 0
            assert path.is_symlink()
            assert is_page(path)
        assert stat.S_IMODE(new.stat().st_mode) == 0o604

        twin = tmp_path / "twin.html"
        new.write_text("old")
        twin.hardlink_to(new)
        assert write(new).code == 0
        assert is_page(twin)

        old = tmp_path / "theirs.html"
        old.write_text("old")
        if IS_ROOT:
            os.chown(old, 65534, 65534)
        before = old.stat()
        assert write(old).code == 0
        after = old.stat()
        assert (after.st_uid, after.st_gid, is_page(old)) == (before.st_uid, before.st_gid, True)
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    finally:
        os.umask(umask)


@pytest.mark.skipif(not IS_ROOT, reason="only root makes a device")
def test_a_device(write: Write, tmp_path: Path) -> None:
    null = tmp_path / "null"
    os.mknod(null, 0o622 | stat.S_IFCHR, os.makedev(1, 3))
    null.chmod(0o622)
    assert write(null).code == 0
    assert null.is_char_device()
    assert stat.S_IMODE(null.stat().st_mode) == 0o622


def test_a_pipe(write: Write, tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text("utf-8")), daemon=True)
    reader.start()
    assert write(pipe).code == 0
    assert pipe.is_fifo()
    reader.join()
    assert read[0].startswith("<!DOCTYPE html>")
    assert read[0].rstrip().endswith("</html>")


def test_what_cannot_be_written_is_said(write: Write, tmp_path: Path) -> None:
    done = write(tmp_path / "nowhere" / "page.html")
    assert done.code == 1
    assert "No such file or directory" in done.err
    full = Path("/dev/full")
    if IS_ROOT:  # who could replace the machine's own
        full = tmp_path / "full"
        os.mknod(full, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    done = write(full)
    assert done.code == 1
    assert "No space left on device" in done.err
