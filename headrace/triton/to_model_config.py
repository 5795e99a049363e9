"""A version of a model as Triton's config: what a replica tells callers, and what Triton would serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from headrace import errors
from headrace.datatype_names import Datatype
from headrace.inference import model_config_pb2
from headrace.model_files.warm_up_samples import NPY
from headrace.state.language_records import VersionKind
from headrace.state.records import (
    ArtifactFile,
    DeclaredShape,
    Provider,
    QueuePolicy,
    ServingConfig,
    Signature,
    TensorSpec,
    TimeoutAction,
)
from headrace.triton.pbtxt import format_config
from headrace.triton.to_model_config_session import add_session, unsaid
from headrace.triton.to_model_config_warm_up import (
    add_warm_up,
    file_name,
    sample_files,
    without_npy,
)
from headrace.triton.to_serving_config import BACKEND, PLATFORM
from headrace.triton.to_serving_config_warm_up import FOLDER

if TYPE_CHECKING:
    from headrace.inference.model_config_pb2 import ModelConfig, ModelQueuePolicy

_KINDS = model_config_pb2.ModelInstanceGroup


class DescribedVersion(Protocol):
    """A version as the registry's client or the shared state describes it."""

    @property
    def model(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def graph_path(self) -> str: ...
    @property
    def files(self) -> Sequence[ArtifactFile]: ...
    @property
    def signature(self) -> Signature: ...
    @property
    def config(self) -> ServingConfig: ...
    @property
    def kind(self) -> VersionKind: ...


def model_config(version: DescribedVersion) -> model_config_pb2.ModelConfig:
    """Return how a version is served, in Triton's words; dims exclude the batch dimension."""
    config = version.config
    message = model_config_pb2.ModelConfig(
        name=version.model,
        platform=PLATFORM,
        backend=BACKEND,
        max_batch_size=config.batching.max_batch_size,
        default_model_filename=version.graph_path,
    )
    message.version_policy.specific.versions.append(version.number)
    if version.kind is VersionKind.GENERATION:  # so its clients stream
        message.model_transaction_policy.decoupled = True
    _add_tensors(message, version)
    message.instance_group.add(
        name=version.model, count=config.instances, kind=_kind(config.provider)
    )
    _add_batching(message, config)
    add_session(message, config)
    add_warm_up(message, config)
    return message


def config_for_triton(version: DescribedVersion) -> str:
    """The text of a `config.pbtxt` with which Triton serves a version; comments say where its files go.

    Raises InvalidArgument (VERSION_KIND) for a version of text, whose graph Triton would serve as tensors.
    """
    if version.kind is not VersionKind.TENSORS:
        raise errors.InvalidArgument(
            "VERSION_KIND",
            f"version {version.number} of {version.model} is one of {version.kind.value}, and Triton's "
            "ONNX backend serves tensors alone: there is no config for it",
            facts={"kind": version.kind.value},
        )
    message = model_config(version)
    readable = without_npy(version.config)
    if readable != version.config.warm_up.samples:
        message.ClearField("model_warmup")
        warm_up = replace(version.config.warm_up, samples=readable)
        add_warm_up(message, replace(version.config, warm_up=warm_up))
    _give_dims(message)
    return "\n".join(_comments(version, message)) + "\n" + format_config(message)


def _comments(version: DescribedVersion, message: ModelConfig) -> Iterator[str]:
    model, config = version.model, version.config
    graph = f"{model}/{version.number}/{version.graph_path}"
    yield f"# {model}/config.pbtxt; the graph is {graph}, with its external data beside it"
    for output in message.output:
        if output.label_filename:
            yield f"# the labels are {model}/{output.label_filename}"
    for file in sample_files(config):
        if file.endswith(NPY):
            yield f"# samples with {file} are left out: Triton reads no .npy"
        else:
            yield f"# the warm-up values {file} are {model}/{FOLDER}/{file_name(file)}"
    for field in unsaid(config):
        yield f"# Triton has no word for {field}"


def _give_dims(message: model_config_pb2.ModelConfig) -> None:
    """Triton wants at least one dimension; what has none gets one of size 1, as Triton completes it."""
    tensors: list[Any] = [*message.input, *message.output]
    for tensor in [tensor for tensor in tensors if not tensor.dims]:
        tensor.dims.append(1)
        if message.max_batch_size:
            tensor.reshape.SetInParent()
    for value in (value for sample in message.model_warmup for value in sample.inputs.values()):
        value.dims.extend([] if value.dims else [1])


def _add_tensors(message: model_config_pb2.ModelConfig, version: DescribedVersion) -> None:
    batches = version.config.batching.max_batch_size > 0
    for spec in version.signature.inputs:
        dims = _dims(spec, batches=batches)
        message.input.add(name=spec.name, data_type=_data_type(spec), dims=dims)
    for spec in version.signature.optional_inputs:
        dims = _dims(spec, batches=False)
        message.input.add(name=spec.name, data_type=_data_type(spec), dims=dims, optional=True)
    _add_reshapes(message.input, version.config.shapes.inputs)
    for spec in version.signature.outputs:
        message.output.add(
            name=spec.name,
            data_type=_data_type(spec),
            dims=_dims(spec, batches=batches),
            label_filename=_label_filename(spec.name, version),
        )
    _add_reshapes(message.output, version.config.shapes.outputs)


def _add_reshapes(tensors: Any, shapes: Mapping[str, DeclaredShape]) -> None:
    for tensor in tensors:
        declared = shapes.get(tensor.name)
        if declared is not None and declared.graph is not None:
            tensor.reshape.shape.extend(declared.graph)
            tensor.reshape.SetInParent()


def _dims(spec: TensorSpec, *, batches: bool) -> Sequence[int]:
    """The dimensions without that of the batch; one free one stands for an unknown rank."""
    if spec.unranked:
        return (-1,)
    return spec.shape[1:] if batches else spec.shape


def _label_filename(output: str, version: DescribedVersion) -> str:
    """The file beside the graph that has an output's labels: its own, or that of all outputs."""
    folder = PurePosixPath(version.graph_path).parent
    candidates = [str(folder / name) for name in (f"{output}.labels.txt", "labels.txt")]
    paths = {file.path for file in version.files}
    return next((path for path in candidates if path in paths), "")


def _add_batching(message: model_config_pb2.ModelConfig, config: ServingConfig) -> None:
    batching, priorities = config.batching, config.priorities
    if not batching.max_batch_size and config.queue == QueuePolicy() and not priorities.levels:
        return
    dynamic = message.dynamic_batching
    dynamic.preferred_batch_size.extend(batching.preferred_batch_sizes)
    dynamic.max_queue_delay_microseconds = batching.max_queue_delay_microseconds
    dynamic.preserve_ordering = batching.preserve_ordering
    _set_policy(dynamic.default_queue_policy, config.queue)
    dynamic.priority_levels = priorities.levels
    dynamic.default_priority_level = priorities.default_level
    for level, policy in priorities.queues.items():
        _set_policy(dynamic.priority_queue_policy[level], policy)


def _set_policy(message: ModelQueuePolicy, policy: QueuePolicy) -> None:
    message.max_queue_size = policy.max_requests
    message.default_timeout_microseconds = policy.timeout_microseconds
    message.allow_timeout_override = policy.allow_timeout_override
    if policy.timeout_action is TimeoutAction.DELAY:
        message.timeout_action = model_config_pb2.ModelQueuePolicy.DELAY


def _kind(provider: Provider) -> Any:
    if provider is Provider.AUTO:
        return _KINDS.KIND_AUTO
    return _KINDS.KIND_CPU if provider is Provider.CPU else _KINDS.KIND_GPU


def _data_type(spec: TensorSpec) -> Any:
    name = "STRING" if spec.datatype is Datatype.BYTES else spec.datatype.value
    return model_config_pb2.DataType.Value(f"TYPE_{name}")
