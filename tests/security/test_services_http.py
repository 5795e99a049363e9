"""The HTTP server that all services share: who may ask for what."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from headrace import errors
from headrace.security import callers
from headrace.security.identities import Identity, Proof
from headrace.security.policy import Grant
from headrace.service.http.answers import Response, json_response
from headrace.service.http.app import HttpApp
from headrace.service.http.operations import add_operations_routes
from headrace.service.http.pages import About, add_root_page
from headrace.service.http.requests import Body, Request
from headrace.service.http.server import open_http_server
from tests.security.keyring import Keyring, read

GRANTS = {"all": (Grant("admin"),), "team": read("team-*"), "none": ()}
ABOUT = About("port", "for tests", {"/": "this"})
MODEL = "/v2/models/{model}"


class Scene:
    """A server and its keys; `calls` counts what reached a handler."""

    def __init__(self, ring: Keyring, session: aiohttp.ClientSession, port: int) -> None:
        self.ring = ring
        self.session = session
        self.port = port
        self.calls = 0

    async def ask(self, path: str, subject: str = "", **more: Any) -> tuple[int, str]:
        """The status, and the caller or the reason that the answer tells."""
        headers = {**self.ring.headers(subject), **more.pop("headers", {})}
        method = more.pop("method", "GET")
        async with self.session.request(method, path, headers=headers, **more) as response:
            text = await response.text()
            try:
                body = json.loads(text or "{}")
            except ValueError:
                body = {}
            return response.status, body.get("reason", body.get("caller", ""))


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Scene]:
    """A port with authentication on."""
    ring = Keyring(GRANTS, **options)
    app = HttpApp(ABOUT.not_found, access=ring.access)
    async with (
        open_http_server(app, "127.0.0.1", 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        scene = Scene(ring, session, port)

        async def model(request: Request) -> Response:
            scene.calls += 1
            assert callers.current_caller().identity == request.identity
            return json_response({"caller": callers.current_caller().actor})

        async def form(request: Request, _: Body) -> Response:
            return await model(request)

        app.add("GET", MODEL, model)
        app.add("POST", f"{MODEL}/infer", model)
        app.add("POST", "/v2/repository/models/{model}/load", model)
        app.add("GET", "/without/row", model)
        app.add_with_form("POST", "/v2/repository/index", form)
        add_root_page(app, ABOUT)
        add_operations_routes(app, CollectorRegistry(), lambda: (True, {}))
        yield scene


async def test_who_may_and_who_may_not() -> None:
    """The caller is whose key it is; the same request is let pass again, whoever else asks meanwhile."""
    async with serving() as scene:
        for _ in range(2):
            assert await scene.ask("/v2/models/team-a", "team") == (200, "team")
            assert await scene.ask("/v2/models/team-a") == (401, "CREDENTIALS_MISSING")
            assert await scene.ask("/v2/models/other", "team") == (403, "PERMISSION_DENIED")
            assert await scene.ask("/v2/models/team-a@x", "team") == (200, "team")
            assert await scene.ask("/v2/models/team-a", "none") == (403, "PERMISSION_DENIED")
            assert await scene.ask("/v2/models/other", "all") == (200, "all")
        post = await scene.ask(
            "/v2/models/team-a/infer", "team", method="POST", data=b"x" * 100_000
        )
        assert post == (403, "PERMISSION_DENIED")
        assert scene.calls == 6


async def test_a_name_that_nobody_proved_is_only_a_note() -> None:
    """Of callers without credentials, too, where something was granted to anybody."""
    async with serving() as scene:
        scene.ring.grant("anonymous", *read("public"))
        claim = {"x-headrace-actor": "root"}
        assert await scene.ask("/v2/models/public", headers=claim) == (200, "anonymous")


async def test_paths_cannot_be_dressed_up() -> None:
    """Another way to write a path leads to the same check, or nowhere."""
    async with serving() as scene:
        for path in (
            "/v2/models/%6fther",
            "/v2/models/team-a%2f..%2fother",
            "/v2/models/team-a/../other",
            "/v2/models/other?model=team-a",
            "//v2/models/other",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", scene.port)
            key = scene.ring.headers("team")["authorization"]
            request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\nConnection: close\r\n\r\n"
            writer.write(request.encode())
            answer = await reader.read()
            writer.close()
            is_of_own = b'"caller":"team"' in answer and b"team-a" in path.encode()
            assert is_of_own or answer.split()[1] in (b"403", b"404"), path


async def test_what_is_open_and_what_is_not() -> None:
    """Probes bring no key; metrics tell names of models; a route without a row is refused to everybody."""
    async with serving() as scene:
        for path in ("/healthz", "/readyz"):
            assert (await scene.ask(path))[0] == 200
            assert (await scene.ask(path, headers={"authorization": "Bearer x"}))[0] == 200
        assert await scene.ask("/metrics") == (401, "CREDENTIALS_MISSING")
        assert await scene.ask("/metrics", "team") == (403, "PERMISSION_DENIED")
        assert (await scene.ask("/metrics", "all"))[0] == 200
        assert await scene.ask("/") == (401, "CREDENTIALS_MISSING")
        assert (await scene.ask("/", "none"))[0] == 200
        assert await scene.ask("/without/row", "all") == (403, "PERMISSION_DENIED")
        assert (await scene.ask("/nowhere", "all"))[0] == 404
        assert scene.calls == 0


async def test_a_refusal_names_the_scheme_that_is_wanted() -> None:
    """Clients of HTTP know from the header what to bring."""
    async with serving() as scene, scene.session.get("/metrics") as response:
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert "--token-file" in (await response.json())["error"]


async def test_a_body_that_is_refused_beforehand_is_not_asked_for() -> None:
    """A client that asks before it sends is told at once; one that may, is told to go on."""
    async with serving() as scene:
        for subject, expected in (("", b"HTTP/1.1 401 "), ("all", b"HTTP/1.1 100 ")):
            reader, writer = await asyncio.open_connection("127.0.0.1", scene.port)
            headers = {**scene.ring.headers(subject), "host": "x", "expect": "100-continue"}
            lines = [f"{name}: {value}" for name, value in headers.items()]
            lines = ["POST /v2/repository/index HTTP/1.1", *lines, "content-length: 5", "", ""]
            writer.write("\r\n".join(lines).encode())
            assert (await reader.readline()).startswith(expected)
            writer.close()


async def test_a_revoked_key_is_refused_on_the_same_connection() -> None:
    """What was remembered of a head is void when a key is revoked or a right is taken."""
    async with serving() as scene:
        headers = scene.ring.headers("team")
        assert await scene.ask("/v2/models/team-a", headers=headers) == (200, "team")
        scene.ring.grant("team")
        assert await scene.ask("/v2/models/team-a", headers=headers) == (403, "PERMISSION_DENIED")
        scene.ring.grant("team", *read("*"))
        assert await scene.ask("/v2/models/team-a", headers=headers) == (200, "team")
        scene.ring.revoke("team")
        assert await scene.ask("/v2/models/team-a", headers=headers) == (401, "API_KEY_INVALID")


async def test_an_identity_that_expires_is_asked_for_again() -> None:
    """What was remembered of a head does not outlive the token in it."""
    now = [1000.0]

    class Tokens:
        def verify(self, token: str) -> Identity:
            if now[0] > 1060:
                raise errors.Unauthenticated("TOKEN_INVALID", "it has expired")
            return Identity("team", Proof.TOKEN, "corp", expires_at=1060)

    async with serving(tokens=Tokens(), now=lambda: now[0]) as scene:
        headers = {"authorization": "Bearer a.b.c"}
        for _ in range(2):
            assert await scene.ask("/v2/models/team-a", headers=headers) == (200, "team")
        now[0] = 1061.0
        assert await scene.ask("/v2/models/team-a", headers=headers) == (401, "TOKEN_INVALID")


async def test_a_token_that_takes_long_holds_up_nobody_else() -> None:
    """Others are answered while a signature is verified; a body that comes meanwhile is kept."""
    go = threading.Event()

    class Tokens:
        def verify(self, token: str) -> Identity:
            go.wait(20)
            if token != "a.b.c":
                raise errors.Unauthenticated("TOKEN_INVALID", "the signature is wrong")
            return Identity("all", Proof.TOKEN, "corp")

    async with serving(tokens=Tokens()) as scene:
        path = "/v2/models/team-a/infer"
        asking = [
            asyncio.create_task(
                scene.ask(
                    path, method="POST", data=b"x", headers={"authorization": f"Bearer {token}"}
                )
            )
            for token in ("a.b.c", "a.b.d")
        ]
        assert await scene.ask("/v2/models/team-a", "team") == (200, "team")
        assert scene.calls == 1
        go.set()
        assert await asyncio.gather(*asking) == [(200, "all"), (401, "TOKEN_INVALID")]
