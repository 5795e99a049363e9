"""A monitor with authentication on: who reports, who is told what, and how a browser gets in."""

from __future__ import annotations

import asyncio
import re
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.security.api_keys import make_key
from headrace.tls.authority import Authority, Names
from headrace_monitor.app.monitor import open_monitor
from headrace_monitor.domain.sessions import SESSION_SECONDS
from headrace_monitor.settings import Settings
from tests.rpc.monitors import running_monitor
from tests.security.registries import bearer, reason_of, secured_registry
from tests.security.watched_monitors import until, watched

BROWSER = {"Accept": "text/html"}


async def test_each_is_told_of_the_models_that_he_may_read(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Statistics, series, watches, the page's data; metrics for whoever reads everything."""
    async with watched(redis_url, namespace, tmp_path) as scene:
        team = await scene.known(await scene.registry.key("team", ("viewer", "team-*")))
        reader = await scene.known(await scene.registry.key("reader", ("viewer", "*")))
        stub = scene.monitor.stub
        assert await scene.models(team) == ["team-a"]
        assert await scene.models(reader) == ["other", "team-a"]
        denied = stub.QueryStatistics(
            pb.QueryStatisticsRequest(model="other"), metadata=bearer(team)
        )
        assert await reason_of(denied) == "PERMISSION_DENIED"
        series = await stub.QuerySeries(pb.QuerySeriesRequest(), metadata=bearer(team))
        assert {each.model for step in series.steps for each in step.statistics} == {"team-a"}
        watch = stub.WatchStatistics(pb.WatchStatisticsRequest(), metadata=bearer(team))
        assert [each.model for each in (await watch.read()).statistics] == ["team-a"]
        watch.cancel()
        for path in ("/api/statistics", "/api/series"):
            code, body, _ = await scene.ask(path, team)
            assert (code, "team-a" in body, "other" in body) == (200, True, False)
            assert (await scene.ask(path))[0] == 401
        codes = [(await scene.ask("/metrics", key))[0] for key in ("", team, reader)]
        assert codes == [401, 403, 200]
        assert "headrace_monitor_rights_followed 1.0" in (await scene.ask("/metrics", reader))[1]
        assert [(await scene.ask(path))[0] for path in ("/healthz", "/readyz")] == [200, 200]


async def test_parts_of_the_suite_report_and_each_for_its_own_replica(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Nobody else reports, and no replica for another."""
    async with watched(redis_url, namespace, tmp_path) as scene:
        admin, other = scene.registry.admin, await scene.registry.key("r1", ("service", "*"))
        await scene.known(other)
        assert await scene.report(admin, "replica-9", "x") == "PERMISSION_DENIED"
        assert await scene.report("", "replica-9", "x") == "CREDENTIALS_MISSING"
        assert await scene.report(other, "replica-1", "x") == ""
        assert await scene.report(other, "replica-0", "x") == "REPLICA_ID_TAKEN"
        assert await scene.report(scene.service, "replica-0", "team-a") == ""


async def test_a_browser_logs_in_and_out(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """A cookie that no script reads and no other page sends stands for the key; it says nothing of it."""
    async with watched(redis_url, namespace, tmp_path) as scene:
        team = await scene.known(await scene.registry.key("team", ("viewer", "team-*")))
        code, _, headers = await scene.ask("/", headers=BROWSER)
        assert (code, headers["Location"]) == (303, "/login")
        code, page, headers = await scene.ask("/login", headers=BROWSER)
        assert code == 200
        assert 'type="password"' in page
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        code, page, headers = await scene.log_in("hr_<script>")
        assert (code, "Set-Cookie" in headers, "<script>" in page) == (401, False, False)
        for form in (b"", b"&" * 1000, b"key", b"\xff\xfe=%", b"a=1&" * 100 + b"key=x"):
            code, _, headers = await scene.ask("/login", method="POST", data=form)
            assert (code, "Set-Cookie" in headers) == (401, False)
        code, _, headers = await scene.log_in(team)
        assert (code, headers["Location"]) == (303, "/")
        cookie = headers["Set-Cookie"]
        assert team not in cookie
        assert re.fullmatch(
            r"headrace_session=[\w-]{43}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict", cookie
        )
        session = {"Cookie": cookie.partition(";")[0]}
        code, page, _ = await scene.ask("/", headers=BROWSER | session)
        assert (code, "/main.js" in page) == (200, True)
        code, body, headers = await scene.ask("/api/statistics", headers=session)
        assert (code, "team-a" in body, "other" in body) == (200, True, False)
        assert headers["Cache-Control"] == "no-store"
        assert (await scene.ask("/metrics", headers=session))[0] == 403
        twice = {"Cookie": f"{session['Cookie']}; {session['Cookie']}x"}
        assert (await scene.ask("/api/statistics", headers=twice))[0] == 401
        code, _, headers = await scene.ask("/logout", method="POST", headers=session)
        assert (code, headers["Location"]) == (303, "/login")
        assert "Max-Age=0" in headers["Set-Cookie"]
        assert (await scene.ask("/api/statistics", headers=session))[0] == 401


async def test_over_tls_the_cookie_goes_nowhere_else(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Its name has browsers take it from this host alone, and one without that name is not looked at."""
    authority = Authority.create("trial", timedelta(days=1))
    issued = authority.issue(Names(["localhost"], ["127.0.0.1"]), timedelta(days=1), serves=True)
    (tmp_path / "cert.pem").write_bytes(issued.certificate)
    (tmp_path / "key.pem").write_bytes(issued.key)
    trusting = ssl.create_default_context(cadata=authority.issued.certificate.decode())
    async with secured_registry(redis_url, namespace, tmp_path / "registry") as registry:
        service = await registry.key("suite", ("service", "*"))
        (tmp_path / "token").write_text(service)
        settings = Settings(
            data=tmp_path / "monitor",
            grpc_port=0,
            http_port=0,
            auth="on",
            registry_address=registry.running.address,
            token_file=tmp_path / "token",
            tls_cert=tmp_path / "cert.pem",
            tls_key=tmp_path / "key.pem",
        )
        async with (
            open_monitor(settings, asyncio.Event()) as monitor,
            aiohttp.ClientSession(f"https://127.0.0.1:{monitor.http_port}") as http,
        ):

            async def log_in() -> Any:
                form = {"key": service}
                return await http.post("/login", data=form, ssl=trusting, allow_redirects=False)

            for _ in range(2000):
                answer = await log_in()
                if answer.status == 303:
                    break
                await asyncio.sleep(0.005)
            cookie = answer.headers["Set-Cookie"]
            assert cookie.startswith("__Host-headrace_session=")
            assert cookie.endswith("; HttpOnly; SameSite=Strict; Secure")
            http.cookie_jar.clear()
            value = cookie.partition(";")[0]
            codes = []
            for sent in (value, value.removeprefix("__Host-")):
                asked = http.get("/api/statistics", headers={"Cookie": sent}, ssl=trusting)
                async with asked as answer:
                    codes.append(answer.status)
            assert codes == [200, 401]


async def test_behind_a_proxy_with_tls_the_cookie_is_of_tls(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The proxy says how the browser came; in plaintext the cookie opens nothing then."""
    async with watched(redis_url, namespace, tmp_path) as scene:
        by_tls = {"X-Forwarded-Proto": "https"}
        _, _, headers = await scene.log_in(scene.service, **by_tls)
        assert headers["Set-Cookie"].startswith("__Host-headrace_session=")
        assert headers["Set-Cookie"].endswith("; Secure")
        session = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
        assert (await scene.ask("/api/statistics", headers=session | by_tls))[0] == 200
        assert (await scene.ask("/api/statistics", headers=session))[0] == 401


async def test_a_session_ends_with_its_key_and_with_its_time(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A revoked key's cookie opens nothing, on the same connection either."""
    async with watched(redis_url, namespace, tmp_path) as scene:
        team = await scene.known(await scene.registry.key("team", ("viewer", "team-*")))
        _, _, headers = await scene.log_in(team)
        session = {"Cookie": headers["Set-Cookie"].partition(";")[0]}

        async def asked() -> str:
            return str((await scene.ask("/api/statistics", headers=session))[0])

        assert await asked() == "200"
        await scene.registry.revoke(team)
        await until(asked, "401")
        assert (await scene.log_in(team))[0] == 401
        assert SESSION_SECONDS == 12 * 3600


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_pages_of_others_cannot_log_a_browser_in_or_out(
    redis_url: str, namespace: str, tmp_path: Path, headers: dict[str, str]
) -> None:
    """A form elsewhere begins no session here, and ends none."""
    async with watched(redis_url, namespace, tmp_path) as scene:
        code, _, answered = await scene.log_in(scene.registry.admin, **headers)
        assert (code, "Set-Cookie" in answered) == (403, False)
        _, _, answered = await scene.log_in(scene.service)
        session = {"Cookie": answered["Set-Cookie"].partition(";")[0]}
        await scene.ask("/logout", method="POST", headers=headers | session)
        assert (await scene.ask("/api/statistics", headers=session))[0] == 200


async def test_a_monitor_that_was_told_nothing_yet_calls_no_key_wrong(tmp_path: Path) -> None:
    """It is not ready, and says so to whoever brings a key."""
    async with running_monitor(
        tmp_path, auth="on", registry_address=f"unix:{tmp_path}/nothing"
    ) as monitor:
        request = pb.QueryStatisticsRequest()
        key = "hr_" + "a" * 8 + "_" + "b" * 49
        async with monitor.http.get("/readyz") as response:
            assert response.status == 503
            assert (await response.json())["rights_known"] is False
        call = monitor.stub.QueryStatistics(request, metadata=bearer(key))
        assert await reason_of(call) == "API_KEY_INVALID", "it is no key by its form"
        call = monitor.stub.QueryStatistics(request, metadata=bearer(make_key()))
        assert await reason_of(call) == "RIGHTS_UNKNOWN"
