"""A network that fails at the worst moment: the server has committed and its answer never arrives, or just before."""

from __future__ import annotations

import contextlib
import select
import shutil
import socket
import tempfile
import threading
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Relay:
    """Passes everything on between clients and the server of a socket's dsn, until something is to be lost.

    `dsn` leads through the relay, and `lost` counts the calls and answers that were lost.
    """

    def __init__(self, dsn: str) -> None:
        parameters = conninfo_to_dict(dsn)
        name = f".s.PGSQL.{parameters['port']}"
        self._server = str(Path(str(parameters["host"])) / name)
        self._folder = tempfile.mkdtemp()  # a socket's path must be short
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(Path(self._folder) / name))
        self._listener.listen()
        self._text: bytes | None = None
        self._answered = True
        self._clients: list[socket.socket] = []
        self.dsn = make_conninfo(dsn, host=self._folder)
        self.lost = 0

    def lose_answer_to(self, text: str) -> None:
        """Cut the connection that next sends this text, once the server has answered."""
        self._text, self._answered = text.encode(), True

    def lose(self, text: str) -> None:
        """Cut the connection that next sends this text, before the server has it."""
        self._text, self._answered = text.encode(), False

    def cut(self) -> None:
        """Cut every connection now, whatever the server does for it."""
        for client in self._clients:
            with contextlib.suppress(OSError):  # closed
                client.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Relay:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        shutil.rmtree(self._folder)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                threading.Thread(target=self._converse, args=(client,), daemon=True).start()

    def _converse(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(self._server)
            doomed = False
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    if source is client:
                        if self._text and self._text in data:
                            doomed, self._text = True, None
                            if not self._answered:
                                self.lost += 1
                                return
                        server.sendall(data)
                    elif doomed:
                        self.lost += 1
                        return
                    else:
                        client.sendall(data)
