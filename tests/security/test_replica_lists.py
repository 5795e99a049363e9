"""Lists show what the caller may read, and nothing else: over gRPC and REST, also of shared ports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headrace.inference import grpc_service_pb2 as pb
from headrace.security.policy import Grant
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of
from tests.security.asked_models import OURS, THEIRS, open_models
from tests.security.keyring import Keyring

fronts = pytest.mark.parametrize("front", FRONTS)
SEEN = {"ours": {OURS}, "boss": {OURS, THEIRS}, "new": set[str]()}
"""The models that each may read."""


def keyring() -> Keyring:
    """Somebody who may read one model, an admin, and somebody without a grant."""
    return Keyring({"ours": (Grant("viewer", (OURS,)),), "boss": (Grant("admin"),), "new": ()})


async def _got(replica: GrpcReplica, verb: str, path: str, headers: Mapping[str, str]) -> Any:
    url = f"http://{replica.http_address}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.request(verb, url, headers=headers) as response,
    ):
        assert response.status == 200
        return await response.json()


@fronts
async def test_grpc_lists_have_what_the_caller_may_read(tmp_path: Path, front: str) -> None:
    """The index, and statistics without a name."""
    keys = keyring()
    async with open_models(tmp_path, keys.access, front) as replica:
        for subject, models in SEEN.items():
            metadata = keys.metadata(subject)
            index = await replica.stub.RepositoryIndex(
                pb.RepositoryIndexRequest(), metadata=metadata
            )
            assert {entry.name for entry in index.models} == models
            statistics = await replica.stub.ModelStatistics(
                pb.ModelStatisticsRequest(), metadata=metadata
            )
            assert {entry.name for entry in statistics.model_stats} == models


@fronts
async def test_what_may_not_be_read_is_not_told_apart(tmp_path: Path, front: str) -> None:
    """Statistics, metadata and readiness of a model of others are refused like those of none."""
    keys = keyring()
    async with open_models(tmp_path, keys.access, front) as replica:
        calls = (
            (replica.stub.ModelStatistics, pb.ModelStatisticsRequest),
            (replica.stub.ModelMetadata, pb.ModelMetadataRequest),
            (replica.stub.ModelConfig, pb.ModelConfigRequest),
            (replica.stub.ModelReady, pb.ModelReadyRequest),
        )
        for call, message in calls:
            answers = [
                await failure_of(call(message(name=name), metadata=keys.metadata("ours")))
                for name in (THEIRS, "nowhere")
            ]
            assert {answer[:2] for answer in answers} == {
                ("PERMISSION_DENIED", "PERMISSION_DENIED")
            }
            assert answers[0][2] == answers[1][2].replace("nowhere", THEIRS)


async def test_rest_lists_have_what_the_caller_may_read(tmp_path: Path) -> None:
    """Every list of REST, and its pages."""
    keys = keyring()
    async with open_models(tmp_path, keys.access, "native") as replica:
        for subject, models in SEEN.items():
            headers = keys.headers(subject)
            listed = await _got(replica, "GET", "/v2/models", headers)
            assert {model["name"] for model in listed["models"]} == models
            page = await _got(replica, "GET", "/v2/models?page_size=1", headers)
            assert len(page["models"]) == min(1, len(models))
            assert bool(page["next_page_token"]) == (len(models) > 1)
            statistics = await _got(replica, "GET", "/v2/models/stats", headers)
            assert {entry["name"] for entry in statistics["model_stats"]} == models
            index = await _got(replica, "POST", "/v2/repository/index", headers)
            assert {entry["name"] for entry in index} == models
