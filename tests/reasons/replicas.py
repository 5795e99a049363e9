"""Replicas in which every reason of an inference request can come about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from headrace.datatypes import Datatype
from headrace.errors import FailedPrecondition
from headrace.state.catalog import Catalog
from headrace.state.records import ModelRecord, TensorSpec, VersionRecord
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from tests.reasons.exact import ExactClient
from tests.rpc.grpc_fixtures import GrpcReplica, open_grpc_replica
from tests.rpc.rest_fixtures import (
    Model,
    OpenModel,
    arithmetic,
    catalog_of,
    echo,
    model,
    wait_until_settled,
)

INDEX = TensorSpec("x", Datatype.INT64, (1,))


@dataclass(frozen=True, slots=True)
class Site:
    """A replica, and an exact client of it."""

    replica: GrpcReplica
    client: ExactClient


@asynccontextmanager
async def serving(
    folder: Path, *models: Model, open_model: OpenModel = open_session, **options: Any
) -> AsyncIterator[Site]:
    """A replica of these models, with these settings, while inside."""
    async with (
        open_grpc_replica(folder, *models, open_model=open_model, **options) as replica,
        grpc.aio.insecure_channel(replica.grpc_address) as channel,
        aiohttp.ClientSession() as session,
    ):
        yield Site(replica, ExactClient(channel, session, replica.http_address))


def gathering() -> Model:
    """The x-th of three numbers, of which there are no others."""
    table = helper.make_tensor("table", TensorProto.FLOAT, [3], [1, 2, 3])
    nodes = [
        helper.make_node("Constant", [], ["table"], value=table),
        helper.make_node("Gather", ["table", "x"], ["y"]),
    ]
    return model("gathering", nodes, [INDEX], [TensorSpec("y", Datatype.FP32, (1,))])


def boundless() -> Model:
    """As many zeros as x says."""
    nodes = [helper.make_node("ConstantOfShape", ["x"], ["y"])]
    return model("boundless", nodes, [INDEX], [TensorSpec("y", Datatype.FP32, (-1,))])


def undecodable() -> Model:
    """A text that is none, if x is not nought."""
    text = numpy_helper.from_array(np.array([b"\xff"], object), "text")
    good = numpy_helper.from_array(np.array([b"a"], object), "good")
    nodes = [
        helper.make_node("Constant", [], ["text"], value=text),
        helper.make_node("Constant", [], ["good"], value=good),
        helper.make_node("Cast", ["x"], ["wrong"], to=TensorProto.BOOL),
        helper.make_node("Where", ["wrong", "text", "good"], ["y"]),
    ]
    return model("undecodable", nodes, [INDEX], [TensorSpec("y", Datatype.BYTES, (1,))])


def broken() -> Model:
    """Whose runs end with a bug."""
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    return model("broken", nodes, [INDEX], [replace(INDEX, name="y")])


def labelled() -> Model:
    """An echo of rows of two, whose classes have a name that is no text."""
    specs = [TensorSpec(name, Datatype.FP32, (-1, 2)) for name in ("x", "y")]
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    return model("labelled", nodes, specs[:1], specs[1:], max_batch_size=4)


PLAIN = (
    *[echo(each) for each in (Datatype.FP32, Datatype.BYTES, Datatype.FP16, Datatype.INT8)],
    *[make() for make in (arithmetic, gathering, boundless, undecodable, broken, labelled)],
)


def open_plain(path: Path, record: VersionRecord) -> Any:
    """Version 2 of the echo cannot be opened here, one has a bug, and one has odd labels."""
    if record.number == 2:
        raise FailedPrecondition("MODEL_UNLOADABLE", "not here")
    runner: Any = open_session(path, record)
    if record.model == "labelled":
        runner.labels = {"y": [b"\xff", b"\xff"]}
    if record.model == "broken":
        runner.run = runner.run_alone = _fall_over
    return runner


def _fall_over(inputs: Any, handle: Any = None) -> Any:
    raise ZeroDivisionError


@asynccontextmanager
async def serving_plain(folder: Path, front: str, **options: Any) -> AsyncIterator[Site]:
    """The plain models, and beside them a model without versions and a version that failed."""
    limits = {"max_http_body_bytes": 8 * 2**20, **options}
    async with serving(folder, *PLAIN, open_model=open_plain, front=front, **limits) as site:
        reconciler = site.replica.ingress.reconciler
        catalog = catalog_of(PLAIN)
        first = catalog.versions["echo-FP32", 1]
        echoing = replace(catalog.models["echo-FP32"], last_number=2, keep_latest=2)
        changed = {"empty": ModelRecord("empty", 0.0), "echo-FP32": echoing}
        second = {("echo-FP32", 2): replace(first, number=2)}
        models, versions = dict(catalog.models) | changed, dict(catalog.versions) | second
        reconciler.want(Catalog(2, models, versions))
        await wait_until_settled(reconciler)
        yield site
