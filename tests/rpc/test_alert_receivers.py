"""Receivers of alerts that are real HTTP servers: signed, tried again, over a restart, never elsewhere."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from headrace.monitor.v1 import alert_service_pb2 as pb
from headrace_monitor.adapters.notify.posting import Connections, NotSentError, Target, post
from headrace_monitor.adapters.notify.senders import signature_of
from tests.certificates import make_certificates
from tests.rpc.alerting import RULES, Receiver, Scene, alerting, receiving
from tests.rpc.monitors import SECOND, FakeClock

OFF = "[shipped]\noff = ['version-failing']\n"
AT_ONCE = """
[[rules]]
name = "now"
kind = "errors"
for = "0s"
severity = "page"
"""


async def fail(scene: Scene) -> None:
    """Have a version fail, which fires at once."""
    await scene.serve(4, failed=300)
    await scene.evaluated()


async def reset(scene: Scene) -> None:
    """Have it well again, and long enough."""
    scene.clock.pass_by(400 * SECOND)
    await scene.report(replica="a", last=True)
    await scene.evaluated()
    scene.clock.pass_by(130 * SECOND)
    await scene.evaluated()


async def test_a_webhook_is_signed_and_its_secret_can_be_another(tmp_path: Path) -> None:
    """Over the time of sending and the body; secrets are read anew for each notification."""
    (tmp_path / "hook").write_text("first secret\n")
    rules = RULES + 'secret_file = "hook"\ntoken_file = "token"\n' + AT_ONCE + OFF
    (tmp_path / "token").write_text("tok\n")
    settings: dict[str, Any] = {
        "alert_secrets": tmp_path,
        "console_url": "https://console.example/",
    }
    async with receiving() as hook, alerting(tmp_path / "data", **settings) as scene:
        await scene.apply(rules.format(url=hook.url + "/path?x=1"))
        await fail(scene)
        got = await hook.next()
        timestamp = got.headers["Headrace-Timestamp"]
        assert scene.clock.now_ns() // SECOND == int(timestamp)
        expected = signature_of(b"first secret", timestamp, got.body)
        assert expected == got.headers["Headrace-Signature"]
        assert ("/path", "Bearer tok") == (got.path, got.headers["Authorization"])
        (alert,) = got.document["alerts"]
        keys = ("rule", "state", "severity", "model", "version")
        assert ("now", "firing", "page", "digits", 1) == tuple(alert[key] for key in keys)
        assert ("firing", False) == (got.document["status"], got.document["test"])
        assert alert["link"].startswith("https://console.example/#/models/digits?")
        assert {"RUN_FAILED": 300} == alert["reasons"]
        (tmp_path / "hook").write_text("second secret")
        await reset(scene)
        again = await hook.next()
        timestamp = again.headers["Headrace-Timestamp"]
        expected = signature_of(b"second secret", timestamp, again.body)
        assert expected == again.headers["Headrace-Signature"]
        assert "resolved" == again.document["status"]
        assert got.headers["Headrace-Notification"] != again.headers["Headrace-Notification"]


async def test_what_is_not_taken_is_sent_again_and_survives_a_restart(tmp_path: Path) -> None:
    """With the same id, until it is taken; nobody is told twice."""
    clock = FakeClock()
    async with receiving() as hook:
        hook.status = 503
        async with alerting(tmp_path, clock) as scene:
            await scene.apply(RULES.format(url=hook.url) + AT_ONCE + OFF)
            await fail(scene)
            first, second = await hook.next(), await hook.next()
            rules = await scene.alerts.ListRules(pb.ListRulesRequest())
            (receiver,) = rules.receivers
            assert (0, 1) == (receiver.delivered, receiver.waiting)
            assert receiver.failed >= 1
            assert "it answered 503" in receiver.problem
            sequence = scene.sequence
        while not hook.requests.empty():
            hook.requests.get_nowait()
        hook.status = 200
        async with alerting(tmp_path, clock) as scene:
            scene.sequence = sequence
            third = await hook.next()
            await scene.evaluated()
            (receiver,) = (await scene.alerts.ListRules(pb.ListRulesRequest())).receivers
            assert (1, 0, "") == (receiver.delivered, receiver.waiting, receiver.problem)
        async with alerting(tmp_path, clock) as scene:
            await scene.evaluated()
            assert [("now", pb.ALERT_STATE_FIRING)] == await scene.states()
            assert hook.requests.empty()
    ids = {each.headers["Headrace-Notification"] for each in (first, second, third)}
    assert 1 == len(ids)


async def test_a_receiver_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    """Neither the evaluation nor the others; and no stop of the monitor."""
    hanging = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        hanging.set()
        await asyncio.sleep(60)
        return web.Response()

    app = web.Application()
    app.router.add_post("/", hang)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        slow = f'[[receivers]]\nname = "a"\nkind = "webhook"\nurl = "http://127.0.0.1:{port}/"\n'
        async with receiving() as hook:
            async with alerting(tmp_path) as scene:
                await scene.apply(slow + RULES.format(url=hook.url) + AT_ONCE + OFF)
                await fail(scene)
                await asyncio.wait_for(hanging.wait(), 20)
                assert [("now", "firing")] == await hook.told()
                await scene.evaluated()
                began = time.monotonic()
            assert time.monotonic() - began < 8  # it has ten seconds to answer
    finally:
        await runner.cleanup()


async def test_redirects_are_not_followed(tmp_path: Path) -> None:
    """Where notifications go, the rules say, and nobody else."""
    async with receiving() as hook, receiving() as elsewhere, alerting(tmp_path) as scene:
        hook.status, hook.headers = 307, {"Location": elsewhere.url}
        await scene.apply(RULES.format(url=hook.url))
        answer = await scene.alerts.TestReceiver(pb.TestReceiverRequest(receiver="hook"))
        assert (False, "it answered 307: redirects are not followed") == (
            answer.delivered,
            answer.problem,
        )
        assert elsewhere.requests.empty()


async def test_an_alertmanager_is_told_again_and_again(tmp_path: Path) -> None:
    """By its API v2: since when, until when it holds, and that it is over."""
    rules = '[[receivers]]\nname = "am"\nkind = "alertmanager"\nurl = "{url}"\n'
    async with receiving() as hook, alerting(tmp_path) as scene:
        await scene.apply(rules.format(url=hook.url) + AT_ONCE + OFF)
        await fail(scene)
        got = await hook.next()
        (alert,) = got.document
        assert "/api/v2/alerts" == got.path
        labels = {"alertname": "now", "severity": "page", "source": "headrace"}
        assert labels | {"model": "digits", "version": "1"} == alert["labels"]
        assert alert["startsAt"] < alert["endsAt"]
        scene.clock.pass_by(60 * SECOND)
        await scene.evaluated()
        (again,) = (await hook.next()).document
        assert (alert["startsAt"], True) == (again["startsAt"], again["endsAt"] > alert["endsAt"])
        await reset(scene)
        told = (await hook.next()).document
        while told[0]["endsAt"] > "2023-11-14T22:30":  # what fired while it was not over yet
            told = (await hook.next()).document
        assert alert["labels"] == told[0]["labels"]


async def test_a_secret_that_is_not_there_is_said(tmp_path: Path) -> None:
    """By its name; nothing is sent without the signature."""
    rules = RULES + 'secret_file = "hook"\n'
    async with receiving() as hook, alerting(tmp_path, alert_secrets=tmp_path) as scene:
        await scene.apply(rules.format(url=hook.url))
        request = pb.TestReceiverRequest(receiver="hook")
        answer = await scene.alerts.TestReceiver(request)
        assert "the secret hook cannot be read: No such file or directory" == answer.problem
        (tmp_path / "hook").write_text("\n")
        assert "is empty" in (await scene.alerts.TestReceiver(request)).problem
        assert hook.requests.empty()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what its plugins import
async def test_apprise_tells_its_services(tmp_path: Path) -> None:
    """With a title and some lines; the URLs are in a file of secrets."""
    pytest.importorskip("apprise")
    rules = '[[receivers]]\nname = "chat"\nkind = "apprise"\nurl_file = "chat"\n'
    async with receiving() as hook, alerting(tmp_path, alert_secrets=tmp_path) as scene:
        (tmp_path / "chat").write_text(hook.url.replace("http://", "json://") + "/notify\n")
        await scene.apply(rules + AT_ONCE + OFF)
        await fail(scene)
        document = (await hook.next()).document
        assert "firing: now on digits" == document["title"]
        assert "ended with an error, most with RUN_FAILED (300)" in document["message"]
        (tmp_path / "chat").write_text("no such thing")
        answer = await scene.alerts.TestReceiver(pb.TestReceiverRequest(receiver="chat"))
        assert "a line of chat is no URL that apprise knows" == answer.problem


def test_addresses_of_the_link_are_never_called() -> None:
    """Where clouds have the secrets of machines, by name or by number."""
    for url in (
        "http://169.254.169.254/latest",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[64:ff9b::169.254.169.254]/",
        "http://2852039166/",
    ):
        with pytest.raises(NotSentError, match="address of the link"):
            post(Target(url, 1.0), b"{}", {}, Connections())


async def test_certificates_are_verified(tmp_path: Path) -> None:
    """Of an authority that the receiver names; a server of another gets nothing."""
    ours, others = make_certificates(tmp_path / "ours"), make_certificates(tmp_path / "others")
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(ours.cert, ours.key)
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        url = f"https://localhost:{runner.addresses[0][1]}/"
        target = Target(url, 5.0, ours.ca)
        await asyncio.to_thread(post, target, b"{}", {}, Connections())
        assert b"{}" == (await receiver.next()).body
        wrong = Target(url, 5.0, others.ca)
        with pytest.raises(NotSentError, match="CERTIFICATE_VERIFY_FAILED"):
            await asyncio.to_thread(post, wrong, b"{}", {}, Connections())
        assert receiver.requests.empty()
    finally:
        await runner.cleanup()
