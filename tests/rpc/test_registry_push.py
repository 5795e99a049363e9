"""Pushing versions to a real registry, in good faith and in bad."""

from __future__ import annotations

from pathlib import Path

from headrace.registry.v1 import registry_service_pb2 as pb
from tests.rpc.registry_fixtures import (
    onnx_file,
    push,
    read_blob,
    running_registry,
)


async def test_a_pushed_graph_becomes_version_one(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The first push makes the model, its signature and config come from the graph, the route names it."""
    artifact = onnx_file()
    async with running_registry(redis_url, namespace, tmp_path) as running:
        version = await push(running, artifact, header={"alias": "champion"})
        route = await running.stub.GetRoute(pb.GetRouteRequest(name="models/digits/route"))
        alias = await running.stub.GetAlias(
            pb.GetAliasRequest(name="models/digits/aliases/champion")
        )
        blob = await read_blob(running, version.files[0].sha256)
    assert version.name == "models/digits/versions/1"
    assert ["x"] == [spec.name for spec in version.signature.inputs]
    assert [-1, 4] == list(version.signature.outputs[0].shape)
    assert 64 == version.serving_config.batching.max_batch_size
    assert 1 == route.stable_version
    assert 1 == alias.version
    assert artifact == blob
