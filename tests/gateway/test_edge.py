"""What callers of a gateway meet: one address for everything, and nothing that is not offered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from headrace import AsyncClient
from tests.gateway.envoy import needs_envoy
from tests.gateway.fixtures import MODEL, Served, infer, request, served, stream_infer
from tests.gateway.raw_http import status_of
from tests.language.tiny_models import TinyModel

pytestmark = needs_envoy

ORIGIN = "https://app.example"
REST_BODY = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}
REST_INFER = f"/v2/models/{MODEL}/infer"
Code = grpc.StatusCode


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    """The event loop that the gateway of this module runs on."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def edge(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory, loop: asyncio.Runner
) -> Iterator[Served]:
    """A gateway with everything in the way of callers."""
    folder: Path = tmp_path_factory.mktemp("edge")
    opening = served(
        redis_url,
        folder,
        cors_origins=(ORIGIN,),
        max_request_bytes=100_000,
        access_log="all",
        access_log_file=folder / "access.log",
    )
    yield loop.run(opening.__aenter__())
    loop.run(opening.__aexit__(None, None, None))


async def grpc_status(edge: Served, method: str, body: bytes = b"", **options: Any) -> Code:
    """The status of a call of one message."""
    async with edge.channel as channel:
        try:
            call: Any = channel.unary_unary(method)
            await call(body, timeout=10, **options)
        except grpc.aio.AioRpcError as error:
            return error.code()
    return Code.OK


def test_one_address_serves_grpc_and_rest_and_the_registry(
    edge: Served, loop: asyncio.Runner
) -> None:
    """Inference on both wires, and the catalog."""

    async def call() -> tuple[list[float], list[float], list[str]]:
        async with AsyncClient(registry=edge.address, inference=edge.address) as client:
            answer = await client.infer(MODEL, {"x": [[1, 2, 3, 4]]})
            names = [model.name for model in await client.models()]
            assert "none" == (await client.caller()).proof
            assert [] == await client.api_keys()
        async with aiohttp.ClientSession(edge.url) as session:
            rest = await (await session.post(REST_INFER, json=REST_BODY)).json()
        return answer.outputs["y"].ravel().tolist(), rest["outputs"][0]["data"], names

    expected = [2.0, 3.0, 4.0, 5.0]
    assert (expected, expected, [MODEL]) == loop.run(call())


def test_streams_go_through(edge: Served, loop: asyncio.Runner) -> None:
    """Each request of a stream is answered while the stream goes on."""

    async def call() -> list[int]:
        async with edge.channel as channel:
            stream: Any = stream_infer(channel)()
            rows = []
            for count in (1, 3):
                await stream.write(request(count))
                rows.append((await stream.read()).infer_response.outputs[0].shape[0])
            await stream.done_writing()
        return rows

    assert [1, 3] == loop.run(call())


def test_streams_of_text_go_through(
    edge: Served, loop: asyncio.Runner, tiny_llama: TinyModel
) -> None:
    """Event by event, to the end; and a client that leaves frees its place."""

    async def call() -> bytes:
        async with AsyncClient(registry=edge.address, inference=edge.address) as client:
            version = await client.push("tiny", tiny_llama.folder, timeout_seconds=60)
            await client.wait_until_ready("tiny", version.number, timeout_seconds=60)
        body = {"model": "tiny", "prompt": "The", "max_tokens": 100, "ignore_eos": True}
        async with aiohttp.ClientSession(edge.url) as session:
            async with session.post("/v1/completions", json=body | {"stream": True}) as answer:
                text = await answer.read()
            async with session.post("/v1/completions", json=body | {"stream": True}) as answer:
                await answer.content.readany()
            assert 200 == (await session.post("/v1/completions", json=body)).status
        return text

    text = loop.run(call())
    assert text.count(b"data: {") > 10
    assert text.endswith(b"data: [DONE]\n\n")


FORGED = {
    "x-headrace-actor": "mallory",
    "x-headrace-identity": "admin",
    "x-headrace-anything": "at all",
    "x-headrace-reasons": "many",
    "x-headrace-rea": "part",
    "x-forwarded-client-cert": "URI=spiffe://headrace/admin",
    "x-envoy-retry-on": "5xx",
    "x-envoy-external-address": "10.0.0.1",
    "x-envoy-upstream-rq-timeout-ms": "1",
}


@pytest.mark.parametrize("wire", ["grpc", "rest"])
def test_nobody_can_say_who_he_is_by_a_header(
    edge: Served, loop: asyncio.Runner, wire: str
) -> None:
    """None of them reaches a replica; a reason does. Traces, which tell it here, have no tokens."""

    async def call() -> dict[str, str]:
        headers = {
            **FORGED,
            "x-forwarded-proto": "https",
            "x-headrace-reason": "why not",
            "x-request-id": f"forged-{wire}",
        }
        if wire == "rest":
            async with aiohttp.ClientSession(edge.url) as session:
                await session.post(REST_INFER, json=REST_BODY, headers=headers)
        else:
            async with edge.channel as channel:
                await infer(channel)(request(), metadata=tuple(headers.items()))
        return await edge.headers_of(f"forged-{wire}")

    came = loop.run(call())
    assert ("http", "why not") == (came["x-forwarded-proto"], came["x-headrace-reason"])
    assert set() == FORGED.keys() & came.keys()


NOT_OFFERED = (
    "/headrace.registry.v1.AccessService/WatchRights",
    "/inference.GRPCInferenceService/SystemSharedMemoryRegister",
    "/inference.GRPCInferenceService/CudaSharedMemoryStatus",
    "/inference.GRPCInferenceService/RepositoryModelUnload",
    "/inference.GRPCInferenceService/TraceSetting",
    "/inference.GRPCInferenceService/LogSettings",
    "/headrace.monitor.v1.MonitorService/ReportTelemetry",
    "/no.such.Service/Method",
)


def test_what_only_services_or_operators_call_is_not_offered(
    edge: Served, loop: asyncio.Runner
) -> None:
    """Over gRPC it is UNIMPLEMENTED."""

    async def call() -> list[Code]:
        return [await grpc_status(edge, method) for method in NOT_OFFERED]

    assert [Code.UNIMPLEMENTED] * len(NOT_OFFERED) == loop.run(call())


PATHS: Mapping[str, int] = {
    "/v2/health/ready": 200,
    f"/v2/models/{MODEL}": 200,
    "/v2/models/x/../add": 200,  # resolved before it is routed
    "//v2//health//ready": 200,
    "/v2/../metrics": 404,
    "/metrics": 404,
    "/healthz": 404,
    "/api/statistics": 404,  # no dashboard was named
    "/v2/logging": 404,
    "/v2/models/add/trace/setting": 404,
    "/v2/systemsharedmemory/status": 404,
    "/v2/models/x%2f..%2fadd": 400,
    "/v2/models/x%2F..%2Fadd": 400,
    "/v2/models/x%5c..%5cadd": 400,
    "/v2/%2e%2e/metrics": 404,
    "/v2/models/add\\..\\metrics": 404,
    "/stats/prometheus": 404,
    "/quitquitquit": 404,
}


def test_paths_mean_the_same_to_the_gateway_and_the_services(
    edge: Served, loop: asyncio.Runner
) -> None:
    """Tricks are refused, or resolved before anything is decided."""

    async def ask() -> dict[str, int]:
        return {
            path: await status_of(edge.address, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
            for path in PATHS
        }

    assert PATHS == loop.run(ask())


POST = f"POST {REST_INFER} HTTP/1.1\r\nHost: x\r\n"
SMUGGLED: Mapping[str, str] = {
    "a length and chunks": POST
    + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
    "two lengths": POST + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "a length that is none": POST + "Content-Length: +4\r\n\r\nabcd",
    "a strange encoding": POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a folded header": POST + "X-A: b\r\n Content-Length: 4\r\n\r\nabcd",
    "a space before the colon": POST + "Content-Length : 4\r\n\r\nabcd",
    "a bare line feed in a header": POST + "X-A: b\rc\r\n\r\n",
    "an underscore": POST + "x_headrace_actor: mallory\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("text", SMUGGLED.values(), ids=SMUGGLED.keys())
def test_a_request_that_could_be_read_in_two_ways_is_refused(
    edge: Served, loop: asyncio.Runner, text: str
) -> None:
    """With 400, or another refusal, and the connection ends."""
    assert loop.run(status_of(edge.address, text)) in (400, 501)


def test_headers_are_bounded(edge: Served, loop: asyncio.Runner) -> None:
    """More than a hundred, or more than 64 KiB, are refused with 431."""

    async def ask() -> tuple[int, int]:
        head = "GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n"
        many = "".join(f"x-{number}: 1\r\n" for number in range(101))
        return (
            await status_of(edge.address, f"{head}{many}\r\n"),
            await status_of(edge.address, f"{head}x-long: {'a' * 66_000}\r\n\r\n"),
        )

    assert (431, 431) == loop.run(ask())


def test_underscores_are_refused_over_http2(edge: Served, loop: asyncio.Runner) -> None:
    """Programs that write headers as variables would take x_headrace_actor for the other."""
    metadata = (("x_headrace_actor", "mallory"),)
    method = "/inference.GRPCInferenceService/ServerLive"
    assert loop.run(grpc_status(edge, method, metadata=metadata)) is not Code.OK


def test_what_is_too_large_is_refused_at_the_edge(edge: Served, loop: asyncio.Runner) -> None:
    """With RESOURCE_EXHAUSTED, and 413, in words."""

    async def ask() -> tuple[Code, str | None, int, str]:
        code, details = Code.OK, None
        async with edge.channel as channel:
            try:
                await infer(channel)(request(10_000))
            except grpc.aio.AioRpcError as error:
                code, details = error.code(), error.details()
        async with aiohttp.ClientSession(edge.url) as session:
            answer = await session.post(REST_INFER, data=b"x" * 150_000)
            return code, details, answer.status, (await answer.json())["error"]

    words = "gateway: the request is larger than the 100000 bytes of max_request_bytes"
    assert (Code.RESOURCE_EXHAUSTED, words, 413, words) == loop.run(ask())


PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "x-grpc-web",
}


def test_pages_of_listed_origins_may_call(edge: Served, loop: asyncio.Runner) -> None:
    """And no other."""

    async def ask() -> list[str | None]:
        allowed = []
        async with aiohttp.ClientSession(edge.url) as session:
            for origin in (ORIGIN, "https://other.example"):
                headers = {"Origin": origin, **PREFLIGHT}
                answer = await session.options(
                    "/inference.GRPCInferenceService/ModelInfer", headers=headers
                )
                allowed.append(answer.headers.get("Access-Control-Allow-Origin"))
        return allowed

    assert [ORIGIN, None] == loop.run(ask())


def test_the_log_tells_each_request_and_no_secret(edge: Served, loop: asyncio.Runner) -> None:
    """One JSON object a request, with its ids; neither its token nor its query."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"

    async def ask() -> str:
        headers = {
            "authorization": "Bearer hr_canary",
            "x-request-id": "logged",
            "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
        }
        async with aiohttp.ClientSession(edge.url) as session:
            await session.get("/v2/health/ready?token=canary", headers=headers)
        async with asyncio.timeout(20):
            while True:
                text = (edge.folder / "access.log").read_text()
                if "logged" in text:
                    return text
                await asyncio.sleep(0.05)

    text = loop.run(ask())
    (told,) = [
        one for one in map(json.loads, text.splitlines()) if one.get("request_id") == "logged"
    ]
    assert ("/v2/health/ready", 200, True) == (told["path"], told["status"], trace in str(told))
    assert "canary" not in text


def test_operators_have_a_port_of_their_own(edge: Served, loop: asyncio.Runner) -> None:
    """Readiness with reasons, and metrics of the gateway and of Envoy."""

    async def ask() -> tuple[dict[str, Any], str]:
        async with aiohttp.ClientSession(f"http://{edge.gateway.http_address}") as session:
            ready = await (await session.get("/readyz")).json()
            return ready, await (await session.get("/metrics")).text()

    ready, metrics = loop.run(ask())
    assert (True, 1, "") == (ready["ready"], ready["replicas"], ready["registry_problem"])
    assert 'headrace_gateway_replicas{state="healthy"} 1.0' in metrics
    assert "envoy_http_downstream_rq_total" in metrics


def test_the_admin_is_for_this_account_alone(edge: Served) -> None:
    """A socket of mode 0600 in a folder of mode 0700, and no port."""
    admin = edge.gateway.edge.admin
    assert admin is not None
    modes = [oct(path.stat().st_mode & 0o777) for path in (admin.socket, admin.socket.parent)]
    assert ["0o600", "0o700"] == modes
