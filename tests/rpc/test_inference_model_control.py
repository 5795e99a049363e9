"""Loading and unloading by callers: refused by default, and what it does where it is allowed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import numpy as np
import onnx
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from google.protobuf import json_format
from onnx import TensorProto, helper

from headrace.datatypes import Datatype
from headrace.inference import grpc_service_pb2 as pb
from tests.rpc.grpc_fixtures import GrpcReplica, failure_of, open_grpc_replica, request
from tests.rpc.rest_fixtures import echo

X = np.array([[1, 2]], np.float32)
NONE: Mapping[str, bytes] = MappingProxyType({})


def scaling(factor: float, size: int | str = "n") -> bytes:
    """y = factor * x: FP32 [n, 2]."""
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "factor"], ["y"])],
        "scaling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [size, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [size, 2])],
        [helper.make_tensor("factor", TensorProto.FLOAT, [], [factor])],
    )
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def config(**members: Any) -> str:
    """A ModelConfig as JSON."""
    return json.dumps({"name": "local", "backend": "onnxruntime"} | members)


def load(name: str = "local", text: str | None = None, files: Mapping[str, bytes] = NONE) -> Any:
    """A request to load a model with this config and these files."""
    message = pb.RepositoryModelLoadRequest(model_name=name)
    if text is not None:
        message.parameters["config"].string_param = text
    for path, data in files.items():
        message.parameters[f"file:{path}"].bytes_param = data
    return message


def graph(number: int, data: bytes) -> dict[str, bytes]:
    """The graph of a version."""
    return {f"{number}/model.onnx": data}


@asynccontextmanager
async def opened(folder: Path, control: str = "explicit") -> AsyncIterator[GrpcReplica]:
    """A replica with one registered model."""
    options: dict[str, Any] = {"model_control": control}
    async with open_grpc_replica(folder, echo(Datatype.FP32), **options) as replica:
        yield replica


def folders(folder: Path, pattern: str) -> list[Path]:
    """The folders that match."""
    return [path for path in folder.glob(pattern) if path.is_dir()]


def written_outside(folder: Path) -> list[Path]:
    """Files that a name led out of a version's folder."""
    return [path for path in folder.rglob("*evil*") if path.is_file()]


async def answer_of(replica: GrpcReplica, model: str = "local") -> tuple[str, list[float]]:
    """The version that answers X, and what it says."""
    answer = await replica.stub.ModelInfer(request(model, X))
    return answer.model_version, np.frombuffer(answer.raw_output_contents[0], "<f4").tolist()


async def index_of(replica: GrpcReplica) -> list[tuple[str, str, str]]:
    """The repository index."""
    index = await replica.stub.RepositoryIndex(pb.RepositoryIndexRequest())
    return [(entry.name, entry.version, entry.state) for entry in index.models]


async def test_by_default_the_registry_alone_loads(tmp_path: Path) -> None:
    """The refusal names what to do instead, over gRPC and REST."""
    async with opened(tmp_path, "registry") as replica:
        failures = [
            await failure_of(replica.stub.RepositoryModelLoad(load())),
            await failure_of(
                replica.stub.RepositoryModelUnload(
                    pb.RepositoryModelUnloadRequest(model_name="echo-FP32")
                )
            ),
        ]
        assert [("echo-FP32", "1", "READY")] == await index_of(replica)

    assert [("UNAVAILABLE", "MODEL_CONTROL_REGISTRY")] * 2 == [each[:2] for each in failures]
    assert failures[0][2].startswith("explicit model load / unload is not allowed")
    assert "headrace push" in failures[0][2]


async def test_a_model_of_the_caller(tmp_path: Path) -> None:
    """Versions have the numbers given, the policy says which are loaded, and the index shows them."""
    text = config(max_batch_size=4, versionPolicy={"latest": {"numVersions": 2}})
    files = graph(3, scaling(3)) | graph(5, scaling(5)) | graph(2, scaling(2))
    async with opened(tmp_path) as replica:
        await replica.stub.RepositoryModelLoad(load(text=text, files=files))
        answers = [await answer_of(replica)]
        pinned = request("local", X)
        pinned.model_version = "3"
        answers.append((await replica.stub.ModelInfer(pinned)).model_version)
        index = await index_of(replica)
        shown = await replica.stub.ModelConfig(pb.ModelConfigRequest(name="local"))

    assert [("5", [5.0, 10.0]), "3"] == answers
    assert [("echo-FP32", "1"), ("local", "3"), ("local", "5")] == [each[:2] for each in index]
    assert 4 == shown.config.max_batch_size


async def test_a_model_of_the_caller_is_warmed_with_its_samples(tmp_path: Path) -> None:
    """Their files come along; one that is missing fails the load, and so does one elsewhere."""
    value = {"dataType": "TYPE_FP32", "dims": [2], "inputDataFile": "day/row"}
    sample = {"name": "day", "inputs": {"x": value}}
    outside = {"name": "day", "inputs": {"x": value | {"inputDataFile": "../../secret"}}}
    files = graph(1, scaling(3))
    text = config(max_batch_size=4, model_warmup=[sample])
    async with opened(tmp_path) as replica:
        failure = await failure_of(replica.stub.RepositoryModelLoad(load("local", text, files)))
        await replica.stub.RepositoryModelLoad(
            load("local", text, files | {"warmup/day/row": bytes(8)})
        )
        assert ("1", [3.0, 6.0]) == await answer_of(replica)
        other = config(max_batch_size=4, model_warmup=[outside])
        refused = await failure_of(replica.stub.RepositoryModelLoad(load("local", other, files)))

    assert "its file must lie in the model's folder warmup" in refused[2]
    assert "LOAD_FAILED" == failure[1]
    assert "there is no file 'warmup/day/row' in the artifact" in failure[2]


async def test_a_reload_takes_over_and_a_failed_one_does_not(tmp_path: Path) -> None:
    """The same number may have another graph; requests in between are all answered."""
    async with opened(tmp_path) as replica:
        await replica.stub.RepositoryModelLoad(load(text=config(), files=graph(1, scaling(2))))
        stop = asyncio.Event()
        seen: list[list[float]] = []

        async def keep_asking() -> None:
            while not stop.is_set():
                seen.append((await answer_of(replica))[1])

        async with asyncio.TaskGroup() as group:
            group.create_task(keep_asking())
            await replica.stub.RepositoryModelLoad(load(text=config(), files=graph(1, scaling(7))))
            bad = load(text=config(), files=graph(1, b"no graph"))
            failure = await failure_of(replica.stub.RepositoryModelLoad(bad))
            stop.set()
        answer = await answer_of(replica)

    assert "INVALID_ARGUMENT" == failure[0]
    assert ("1", [7.0, 14.0]) == answer
    assert all(values in ([2.0, 4.0], [7.0, 14.0]) for values in seen)


async def test_unloaded_models_are_gone_until_they_are_loaded_again(tmp_path: Path) -> None:
    """A caller's model leaves no trace; a registered one is only kept off this replica."""
    async with opened(tmp_path) as replica:
        await replica.stub.RepositoryModelLoad(load(text=config(), files=graph(1, scaling(2))))
        for name in ("local", "echo-FP32", "never-loaded"):
            unload = pb.RepositoryModelUnloadRequest(model_name=name)
            unload.parameters["unload_dependents"].bool_param = True
            await replica.stub.RepositoryModelUnload(unload)
        failures = [
            await failure_of(replica.stub.ModelInfer(request(name, np.zeros(1, np.float32))))
            for name in ("local", "echo-FP32")
        ]
        await replica.stub.RepositoryModelLoad(load("echo-FP32"))
        await replica.stub.ModelInfer(request("echo-FP32", np.zeros(1, np.float32)))

    assert [("NOT_FOUND", "MODEL_NOT_FOUND"), ("NOT_FOUND", "NO_VERSIONS")] == [
        each[:2] for each in failures
    ]
    assert [] == folders(tmp_path, "local-*")


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (load("unknown"), "NOT_FOUND", "MODEL_NOT_FOUND"),
        (load("../x"), "INVALID_ARGUMENT", "MODEL_NAME_INVALID"),
        (load(""), "INVALID_ARGUMENT", "MODEL_NAME_INVALID"),
        (load("echo-FP32", config()), "FAILED_PRECONDITION", "MODEL_REGISTERED"),
        (load(files=graph(1, scaling(1))), "INVALID_ARGUMENT", "MODEL_FILES_INVALID"),
        (load(text="{", files=graph(1, scaling(1))), "INVALID_ARGUMENT", "MODEL_FILES_INVALID"),
        (load(text=config(), files=graph(1, b"x")), "INVALID_ARGUMENT", "MODEL_FILES_INVALID"),
        (load(text=config(), files={"1/other": b""}), "INVALID_ARGUMENT", "MODEL_FILES_INVALID"),
        (load(text=config(), files={"1/../../x": b""}), "INVALID_ARGUMENT", "MODEL_FILES_INVALID"),
        (load(text=config(), files={"1//etc/x": b""}), "INVALID_ARGUMENT", "MODEL_FILES_INVALID"),
        (
            load(text=config(), files={"1/" + "a" * 300: b""}),
            "INVALID_ARGUMENT",
            "MODEL_FILES_INVALID",
        ),
        (
            load(text=config(), files={"1/a": b"", "1/a/b": b""}),
            "INVALID_ARGUMENT",
            "MODEL_FILES_INVALID",
        ),
        (
            load(text='{"parameters":' * 50_000, files=graph(1, b"")),
            "INVALID_ARGUMENT",
            "MODEL_FILES_INVALID",
        ),
        (load(text=config(), files={"model.onnx": b""}), "NOT_FOUND", "TRITON_VERSION_NOT_FOUND"),
        (
            load(text=config(), files={"01/model.onnx": b""}),
            "NOT_FOUND",
            "TRITON_VERSION_NOT_FOUND",
        ),
        (
            load(text=config(max_batch_size=4), files=graph(1, scaling(1, 1))),
            "INVALID_ARGUMENT",
            "MODEL_FILES_INVALID",
        ),
    ],
)
async def test_what_cannot_be_loaded(tmp_path: Path, message: Any, code: str, reason: str) -> None:
    """Each with its status; nothing is left behind, and what was there still answers."""
    async with opened(tmp_path) as replica:
        failure = await failure_of(replica.stub.RepositoryModelLoad(message))
        await replica.stub.ModelInfer(request("echo-FP32", np.zeros(1, np.float32)))
        assert [("echo-FP32", "1", "READY")] == await index_of(replica)
        left = folders(tmp_path, "local-*/*")

    assert (code, reason) == failure[:2]
    assert [] == left


UNSAFE_OUTPUT = {"name": "../../evil", "data_type": "TYPE_FP32", "label_filename": "names"}


@pytest.mark.parametrize(
    ("text", "files", "said"),
    [
        (config(output=[UNSAFE_OUTPUT]), {"names": b"a"}, "stay inside"),
        (config(), {"1/w.bin": b"", "1/W.bin": b""}, "differ in case only"),
        (config(), {"1/nul.bin": b""}, "is the name of a device"),
    ],
)
async def test_names_of_files_are_those_of_any_artifact(
    tmp_path: Path, text: str, files: dict[str, bytes], said: str
) -> None:
    """Nothing is written outside, by whatever name a config leads there."""
    async with opened(tmp_path) as replica:
        message = load(text=text, files=graph(1, scaling(1)) | files)
        failure = await failure_of(replica.stub.RepositoryModelLoad(message))
    assert "MODEL_FILES_INVALID" == failure[1]
    assert said in failure[2]
    assert [] == written_outside(tmp_path)


X_SPEC = {"name": "x", "data_type": "TYPE_FP32", "dims": [2]}
Y_SPEC = {"name": "y", "data_type": "TYPE_FP32", "dims": [2]}


def tensors(**changes: Any) -> str:
    """A config with a batch, and tensors of which the input is changed so."""
    return config(max_batch_size=4, input=[X_SPEC | changes], output=[Y_SPEC])


NEVER_APPLIED = [
    ("garbage", "Invalid config override"),
    ("", "Invalid config override"),
    ("[]", "Invalid config override"),
    ('{"max_batch_size": "many"}', "Invalid config override"),
    ('{"colour": "red"}', "no field named"),
    ('{"name": "other"}', "the config names the model 'other'"),
    (config(backend="pytorch"), "runs on pytorch"),
    (config(platform="tensorflow_savedmodel"), "runs on"),
    (config(max_batch_size=-1), "max_batch_size is -1"),
    (config(max_batch_size=1_000_000), "max_batch_size"),
    (config(instance_group=[{"count": -2}]), "count is -2"),
    (config(instance_group=[{"count": 1000}]), "start more replicas"),
    (
        config(max_batch_size=4, dynamic_batching={"preferred_batch_size": [-4]}),
        "preferred_batch_size has -4",
    ),
    (
        config(max_batch_size=4, dynamic_batching={"preferred_batch_size": [8]}),
        "between 1 and max_batch_size",
    ),
    (config(sequence_batching={}), "keeps no state between requests"),
    (config(response_cache={"enable": True}), "there is no response cache"),
    (config(parameters={"colour": {"string_value": "red"}}), "no setting of this name"),
    (config(version_policy={"specific": {"versions": [7]}}), "names [7]"),
    (config(default_model_filename="other.onnx"), "no file 'other.onnx'"),
    (
        config(output=[Y_SPEC | {"label_filename": "gone.txt"}]),
        "label files that the load does not bring: ['gone.txt']",
    ),
    (tensors(name="z"), "the graph has no input 'z'; it has 'x'"),
    (tensors(data_type="TYPE_INT64"), "input 'x' is TYPE_FP32, not TYPE_INT64"),
    (tensors(dims=[3]), "input 'x' has the shape [-1, 2], not [-1, 3]"),
    (tensors(dims=[2, 2]), "not [-1, 2, 2]"),
    (tensors(dims=[-5]), "has a dimension of -5"),
    (tensors(optional=True), "input 'x' is not optional"),
    (tensors(allow_ragged_batch=True), "pad in the callers"),
]


async def test_settings_of_a_loaded_model_are_applied_or_refused(tmp_path: Path) -> None:
    """A load without files gives what is loaded another config; what cannot hold leaves all as it was."""
    async with opened(tmp_path) as replica:
        await replica.stub.RepositoryModelLoad(
            load(text=config(max_batch_size=2), files=graph(1, scaling(2)))
        )
        failures = [
            await failure_of(replica.stub.RepositoryModelLoad(load(text=text)))
            for text, _ in NEVER_APPLIED
        ]
        kept = await replica.stub.ModelConfig(pb.ModelConfigRequest(name="local"))
        await replica.stub.RepositoryModelLoad(load(text='{"max_batch_size": "16"}'))
        shown = await replica.stub.ModelConfig(pb.ModelConfigRequest(name="local"))
        answer = await answer_of(replica)
        await replica.stub.RepositoryModelLoad(load())
        again = await replica.stub.ModelConfig(pb.ModelConfigRequest(name="local"))

    said = [(failure[2], said) for failure, (_, said) in zip(failures, NEVER_APPLIED, strict=True)]
    assert [] == [pair for pair in said if pair[1] not in pair[0]]
    assert {"INVALID_ARGUMENT", "NOT_FOUND"} == {failure[0] for failure in failures}
    assert (2, 16, 16) == tuple(each.config.max_batch_size for each in (kept, shown, again))
    assert ("1", [2.0, 4.0]) == answer


async def test_a_config_that_was_read_can_be_loaded_again(tmp_path: Path) -> None:
    """What ModelConfig shows, changed in one place, is a config to load with; labels stay."""
    text = config(max_batch_size=4, output=[Y_SPEC | {"label_filename": "names"}])
    files = graph(1, scaling(2)) | graph(3, scaling(3)) | {"names": b"one\ntwo\n"}
    async with opened(tmp_path) as replica:
        await replica.stub.RepositoryModelLoad(load(text=text, files=files))
        shown = (await replica.stub.ModelConfig(pb.ModelConfigRequest(name="local"))).config
        shown.max_batch_size = 8
        await replica.stub.RepositoryModelLoad(load(text=json_format.MessageToJson(shown)))
        again = (await replica.stub.ModelConfig(pb.ModelConfigRequest(name="local"))).config

    assert "y.labels.txt" == shown.output[0].label_filename
    for each in (shown, again):
        each.ClearField("model_warmup")  # it follows the largest batch
    assert shown == again


async def test_a_config_narrows_what_a_model_takes(tmp_path: Path) -> None:
    """Sizes that the graph leaves open and the config fixes hold for callers, too."""
    text = config(input=[X_SPEC | {"dims": [1, 2]}], output=[Y_SPEC | {"dims": [-1, 2]}])
    async with opened(tmp_path) as replica:
        await replica.stub.RepositoryModelLoad(load(text=text, files=graph(1, scaling(2))))
        answer = await answer_of(replica)
        failure = await failure_of(
            replica.stub.ModelInfer(request("local", np.zeros((2, 2), np.float32)))
        )

    assert ("1", [2.0, 4.0]) == answer
    assert "INVALID_ARGUMENT" == failure[0]


async def test_members_that_are_not_known_are_refused_on_rest(tmp_path: Path) -> None:
    """Of a load also beside the parameters, and of a wrong type; of an index and a region."""
    bodies: list[dict[str, Any]] = [
        {"files": []},
        {"config": config()},
        {"parameters": {"file:1/model.onnx": []}},
        {"parameters": {"config": {"max_batch_size": 4}}},
    ]
    async with opened(tmp_path) as replica, aiohttp.ClientSession() as session:
        url = f"http://{replica.http_address}/v2/repository/models/local"
        answers = [await session.post(f"{url}/load", json=body) for body in bodies]
        answers.append(await session.post(f"{url}/unload", json={"unload_dependents": True}))
        base = f"http://{replica.http_address}/v2"
        answers.append(await session.post(f"{base}/repository/index", json={"redy": True}))
        region = {"key": "/k", "byte_size": 8, "ofset": 4}
        answers.append(
            await session.post(f"{base}/systemsharedmemory/region/r/register", json=region)
        )
        assert [400] * 7 == [answer.status for answer in answers]


async def test_parameters_of_a_wrong_kind(tmp_path: Path) -> None:
    """They are the caller's error; so is a repository's name."""
    wrong = load()
    wrong.parameters["config"].bool_param = True
    unknown = load()
    unknown.parameters["colour"].string_param = "red"
    named = load()
    named.repository_name = "r"
    async with opened(tmp_path) as replica:
        failures = [
            await failure_of(replica.stub.RepositoryModelLoad(each))
            for each in (wrong, unknown, named)
        ]

    assert ["INVALID_ARGUMENT", "INVALID_ARGUMENT", "UNIMPLEMENTED"] == [f[0] for f in failures]
    assert "unrecognized load parameter 'colour'" in failures[1][2]


@pytest.mark.parametrize("module", [triton_grpc, triton_http], ids=["grpc", "http"])
async def test_tritons_clients_load_and_unload(tmp_path: Path, module: Any) -> None:
    """Both clients, unmodified, with a label file of the caller's."""
    text = config(
        output=[{"name": "y", "data_type": "TYPE_FP32", "dims": [2], "label_filename": "names"}]
    )
    files = {"file:1/model.onnx": scaling(2), "file:names": b"one\ntwo\n"}

    def ask() -> Any:
        with module.InferenceServerClient(
            replica.http_address if module is triton_http else replica.grpc_address
        ) as client:
            client.load_model("local", config=text, files=files)
            given = module.InferInput("x", [1, 2], "FP32")
            given.set_data_from_numpy(X)
            wanted = module.InferRequestedOutput("y", class_count=1)
            answer = client.infer("local", [given], outputs=[wanted]).as_numpy("y")
            client.unload_model("local")
            return answer.tolist(), client.is_model_ready("echo-FP32")

    async with opened(tmp_path) as replica:
        answer = await asyncio.to_thread(ask)

    assert ([b"4.000000:1:two"], True) == answer


async def test_a_caller_loads_what_stands_by(tmp_path: Path) -> None:
    """With caps a load brings it; what callers unloaded does not come back by a request."""
    served = [echo(Datatype.FP32), echo(Datatype.INT32)]
    options: dict[str, Any] = {"model_control": "explicit", "max_loaded_versions": 1}
    async with open_grpc_replica(tmp_path, *served, **options) as replica:
        ready = replica.ingress.reconciler.table.ready
        (cold,) = {"echo-FP32", "echo-INT32"} - {name for name, _ in ready}
        await replica.stub.RepositoryModelLoad(load(cold))
        assert (cold, 1) in replica.ingress.reconciler.table.ready
        await replica.stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(model_name=cold))
        (other,) = {"echo-FP32", "echo-INT32"} - {cold}
        refused = await failure_of(replica.stub.ModelInfer(request(cold, X)))
        await replica.stub.RepositoryModelLoad(load(other))
        assert (other, 1) in replica.ingress.reconciler.table.ready
    assert "UNAVAILABLE" == refused[0] or "NOT_FOUND" == refused[0]
