"""Replicas that share ports do for one another what a caller may, and let nobody else do it for them."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from headrace.inference import grpc_service_pb2 as pb
from headrace.security.policy import Grant
from tests.rpc.grpc_fixtures import FRONTS, failure_of, request
from tests.rpc.test_shared_ports import NAME, X, sharing
from tests.security.keyring import Keyring


@pytest.mark.parametrize("front", FRONTS)
async def test_replicas_that_share_ports_work_together(tmp_path: Path, front: str) -> None:
    """What an admin sets is set on both, what is listed and counted is of both, and of what he may see."""
    keys = Keyring({"boss": (Grant("admin"),), "ours": (Grant("caller", (NAME,)),), "new": ()})
    boss = keys.metadata("boss")
    setting = pb.LogSettingsRequest(
        settings={"log_verbose_level": pb.LogSettingsRequest.SettingValue(uint32_param=1)}
    )
    async with sharing(tmp_path, front=front, access=keys.access) as shared:
        async with shared.stub() as stub:
            await stub.ModelInfer(request(NAME, X), metadata=keys.metadata("ours"))
            refused = await failure_of(stub.LogSettings(setting, metadata=keys.metadata("ours")))
            assert refused[0] == "PERMISSION_DENIED"
            await stub.LogSettings(setting, metadata=boss)
            index = await stub.RepositoryIndex(pb.RepositoryIndexRequest(), metadata=boss)
            assert [entry.name for entry in index.models] == [NAME]
            nothing = await stub.RepositoryIndex(
                pb.RepositoryIndexRequest(), metadata=keys.metadata("new")
            )
            assert not nothing.models
            counted = await stub.ModelStatistics(
                pb.ModelStatisticsRequest(name=NAME), metadata=boss
            )
            assert counted.model_stats[0].inference_stats.success.count == 1
        for replica in shared.replicas:
            told = await replica.stub.LogSettings(pb.LogSettingsRequest(), metadata=boss)
            assert told.settings["log_verbose_level"].uint32_param == 1
            assert (await failure_of(replica.stub.LogSettings(setting)))[0] == "UNAUTHENTICATED"
        async with aiohttp.ClientSession() as session:
            for subject, status in (("boss", 200), ("ours", 403)):
                url, headers = f"http://{shared.metrics}/metrics", keys.headers(subject)
                async with session.get(url, headers=headers) as response:
                    assert response.status == status
                    text = await response.text()
                    assert ('replica="replica-1"' in text) == (status == 200)


async def test_the_sockets_of_siblings_are_private(tmp_path: Path) -> None:
    """Nobody but their account enters the folder in which they call one another."""
    keys = Keyring({"boss": (Grant("admin"),)})
    async with sharing(tmp_path, access=keys.access) as shared:
        members = (tmp_path / "shared" / "members").iterdir()
        targets = [member.read_text() for member in members]
        assert len(targets) == len(shared.replicas)
        for text in targets:
            socket = Path(text.partition("unix:")[2].partition('"')[0])
            assert _is_private_socket(socket)


def _is_private_socket(path: Path) -> bool:
    return path.is_socket() and not path.parent.stat().st_mode & 0o077
