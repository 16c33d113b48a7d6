"""What PostgREST does with a call of a function, over the real database; its binary is in no package registry.

A POST to /rest/v1/rpc/NAME becomes one transaction, as the role of the token, with the statement that PostgREST sends:
the arguments from one JSON value, by name, and the answer as one JSON array. Functions are looked up in the schemas
that are exposed, and no others. Its own documentation is followed for profiles, errors and their HTTP status.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
from psycopg import sql

EXPOSED = ("public", "budget")
ROLES = ("anon", "authenticated", "service_role")
STATUS = {"42501": 403, "55": 500, "40": 500, "25006": 405}
ARGUMENTS = """
    SELECT a.name, format_type(a.type, NULL)
    FROM pg_proc AS p, unnest(p.proargnames[:p.pronargs], p.proargtypes::oid[]) AS a (name, type)
    WHERE p.pronamespace = %s::regnamespace AND p.proname = %s
"""
CALL = """
    WITH pgrst_source AS (
        SELECT pgrst_call.*
        FROM (SELECT %(body)s::json AS json_data) pgrst_payload,
            LATERAL (
                SELECT {names} FROM json_to_record(pgrst_payload.json_data) AS _({typed}) LIMIT 1
            ) pgrst_body,
            LATERAL {function}({named}) pgrst_call
    )
    SELECT coalesce(json_agg(_postgrest_t), '[]')::text AS body FROM (SELECT * FROM pgrst_source) _postgrest_t
"""


def token(role: str) -> str:
    """A key as a platform gives it out, without a signature that nobody here checks."""
    parts = ({"alg": "none", "typ": "JWT"}, {"role": role})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + ".x"


def call(connection: psycopg.Connection[Any], schema: str, name: str, body: dict[str, Any]) -> str:
    """The answer to a call with these arguments, as JSON; the types are the function's own."""
    types = dict(connection.execute(ARGUMENTS, [schema, name]).fetchall())
    if not types.keys() >= body.keys() or not types:
        raise LookupError(f"Could not find the function {schema}.{name}({', '.join(body)}) in the schema cache")
    arguments = [sql.Identifier(argument) for argument in body]
    statement = sql.SQL(CALL).format(
        names=sql.SQL(", ").join(arguments),
        typed=sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(types[name])) for name in body),
        function=sql.Identifier(schema, name),
        named=sql.SQL(", ").join(sql.SQL("{0} := pgrst_body.{0}").format(argument) for argument in arguments),
    )
    row = connection.execute(statement, {"body": json.dumps(body)}).fetchone()
    assert row is not None
    return str(row[0])


def answer(dsn: str, path: str, profile: str | None, bearer: str, body: dict[str, Any]) -> tuple[int, str]:
    """The HTTP status and the body for a request."""
    claims = json.loads(base64.urlsafe_b64decode(bearer.split(".")[1] + "=="))
    schema = profile or EXPOSED[0]
    if schema not in EXPOSED:
        return 406, error("PGRST106", f"Invalid schema: {schema}")
    try:
        with psycopg.connect(dsn, user="authenticator") as connection:
            connection.execute(
                "SELECT set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                [claims["role"], json.dumps(claims)],
            )
            return 200, call(connection, schema, path.removeprefix("/rest/v1/rpc/"), body)
    except LookupError as missing:
        return 404, error("PGRST202", str(missing))
    except psycopg.Error as raised:
        state, diag = raised.sqlstate or "", raised.diag
        status = STATUS.get(state) or STATUS.get(state[:2], 400)
        return status, error(state, diag.message_primary, diag.message_detail, diag.message_hint)


def error(code: str, message: str | None, details: str | None = None, hint: str | None = None) -> str:
    return json.dumps({"code": code, "message": message, "details": details, "hint": hint})


@contextmanager
def serving(dsn: str) -> Iterator[str]:
    """Serve the database on a free port of this machine; yields the URL of the project."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            bearer = self.headers["authorization"].removeprefix("Bearer ")
            status, text = answer(dsn, self.path, self.headers["content-profile"], bearer, body)
            self.send_response(status)
            self.send_header("content-type", "application/json; charset=utf-8")
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
