"""Tokens of calls: from a file that may change, and never in plaintext to another machine."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from headrace import errors
from headrace.client import AsyncClient
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from headrace.service.grpc_serving import open_grpc_server
from headrace.tls.peers import open_peer
from headrace.tls.settings import PeerTlsSettings

ELSEWHERE = "192.0.2.1:8001"
"""An address of documentation: nothing is there, and nothing is sent there."""


class _Servicer(pb_grpc.GRPCInferenceServiceServicer):
    def __init__(self) -> None:
        self.seen: list[str] = []

    async def ServerLive(self, request: Any, context: Any) -> Any:
        metadata = dict(context.invocation_metadata() or ())
        self.seen.append(str(metadata.get("authorization")))
        return pb.ServerLiveResponse(live=True)


async def test_a_token_is_read_again_when_its_file_changes(tmp_path: Path) -> None:
    """Tokens of Kubernetes are replaced every hour; on this machine plaintext is fine."""
    servicer, file = _Servicer(), tmp_path / "token"
    register = partial(pb_grpc.add_GRPCInferenceServiceServicer_to_server, servicer)
    async with open_grpc_server("127.0.0.1:0", [], register, drain_seconds=0) as server:
        file.write_text("first\n")
        async with AsyncClient(inference=f"127.0.0.1:{server.port}", token_file=file) as client:
            await client.server_live()
            file.write_text("the-second")
            await client.server_live()
    assert ["Bearer first", "Bearer the-second"] == servicer.seen


@pytest.mark.parametrize(
    "contents", [None, "", "two words", "line\nline", "\x00", "é", "a" * 20_000]
)
async def test_a_file_without_a_token_is_named(tmp_path: Path, contents: str | None) -> None:
    """Not its contents, which may be a secret."""
    file = tmp_path / "token"
    if contents is not None:
        file.write_text(contents)
    async with AsyncClient(token_file=file, timeout_seconds=1.0) as client:
        with pytest.raises(errors.FailedPrecondition, match=str(file)) as refused:
            await client.server_live()
    assert "TOKEN_FILE_UNUSABLE" == refused.value.reason
    assert not contents or contents not in refused.value.message


async def test_a_token_is_never_sent_in_plaintext_to_another_machine(tmp_path: Path) -> None:
    """By no method of the client, not in a header of a caller's own, and not by a service."""
    file = tmp_path / "token"
    file.write_text("secret")
    given: dict[str, Any] = dict.fromkeys(("registry", "inference", "monitor"), ELSEWHERE)
    async with AsyncClient(**given, token_file=file, timeout_seconds=1.0) as client:
        for call in (client.server_live(), client.models(), client.statistics()):
            with pytest.raises(errors.FailedPrecondition, match="over TLS") as refused:
                await call
            assert "TOKEN_IN_PLAINTEXT" == refused.value.reason
        with pytest.raises(errors.FailedPrecondition, match="over TLS"):
            await anext(client.watch())
        model = tmp_path / "model.onnx"
        model.write_bytes(b"x")
        with pytest.raises(errors.FailedPrecondition, match="over TLS"):
            await client.push("m", model)
    with pytest.raises(errors.FailedPrecondition, match="over TLS"):
        async with open_peer(ELSEWHERE, PeerTlsSettings(token_file=file)):
            pass


async def test_a_header_of_authorization_is_a_token_too() -> None:
    """A caller that brings it by hand is refused alike."""
    async with AsyncClient(inference=ELSEWHERE, timeout_seconds=1.0) as client:
        headers = {"Authorization": "Bearer secret"}
        with pytest.raises(errors.FailedPrecondition, match="over TLS"):
            await client.infer("m", {"x": [1.0]}, headers=headers)


async def test_over_tls_a_token_may_go_anywhere(tmp_path: Path) -> None:
    """Then the address is called; nobody is there."""
    file = tmp_path / "token"
    file.write_text("secret")
    where = f"grpcs://{ELSEWHERE}"
    async with AsyncClient(inference=where, token_file=file, timeout_seconds=0.2) as client:
        with pytest.raises((errors.Unavailable, errors.DeadlineExceeded)):
            await client.server_live()
