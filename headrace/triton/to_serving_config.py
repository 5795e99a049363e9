"""Converts a Triton config to a serving config, and lists what cannot be converted.

Every function of `_CARRIERS` takes from `left`, a copy of the config, what it carries over; what remains is
listed. The serving config has only what the config says: the rest is left to the registry's proposal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from headrace.conversion import MAX_BATCH_SIZE, MAX_INSTANCES
from headrace.inference import model_config_pb2
from headrace.triton.hints import NOTHING
from headrace.triton.to_serving_config_batching import carry_dynamic_batching
from headrace.triton.to_serving_config_providers import carry_accelerators, carry_cuda_parameters
from headrace.triton.to_serving_config_session import carry_session, library_names
from headrace.triton.to_serving_config_shapes import carry_reshapes
from headrace.triton.to_serving_config_warm_up import carry_warm_up
from headrace.triton.unsupported_fields import UnsupportedField, remainder
from headrace.type.v1 import serving_config_pb2

if TYPE_CHECKING:
    from headrace.inference.model_config_pb2 import ModelConfig
    from headrace.type.v1.serving_config_pb2 import ServingConfig

PLATFORM = "onnxruntime_onnx"
BACKEND = "onnxruntime"

REMARKS = "headrace."
"""How names of parameters begin with which a replica says what it decided on."""

_GROUP = model_config_pb2.ModelInstanceGroup
_PROVIDERS = {
    _GROUP.KIND_AUTO: serving_config_pb2.PROVIDER_AUTO,
    _GROUP.KIND_GPU: serving_config_pb2.PROVIDER_CUDA,
    _GROUP.KIND_CPU: serving_config_pb2.PROVIDER_CPU,
    _GROUP.KIND_MODEL: serving_config_pb2.PROVIDER_AUTO,
}
_FIRST_DEVICE = [0]


@dataclass(frozen=True, slots=True)
class Carried:
    """A converted config, and the fields that could not be converted."""

    serving_config: serving_config_pb2.ServingConfig
    left: tuple[UnsupportedField, ...]
    """What the config sets and nothing here does."""
    implied: tuple[UnsupportedField, ...] = ()
    """What it leaves out and Triton does in its own way."""

    @property
    def not_carried(self) -> tuple[UnsupportedField, ...]:
        """All that is otherwise than on Triton."""
        return (*self.left, *self.implied)


def carry_over(config: model_config_pb2.ModelConfig) -> Carried:
    """A Triton config as a serving config, with all that could not be carried over."""
    left = model_config_pb2.ModelConfig()
    left.CopyFrom(config)
    taken = serving_config_pb2.ServingConfig()
    for carry in _CARRIERS:
        carry(left, taken)
    return Carried(taken, tuple(remainder(left, config)), tuple(_implied(config)))


def is_complete(config: model_config_pb2.ModelConfig) -> bool:
    """Return whether Triton takes the config as it is; else it completes tensors and batching itself."""
    return bool(config.input) and bool(config.output)


def _carry_identity(left: ModelConfig, _: ServingConfig) -> None:
    """Take what says which graph it is: a version is that graph, and its signature says the tensors."""
    for name, ours in (("platform", PLATFORM), ("backend", BACKEND)):
        if getattr(left, name) == ours:
            left.ClearField(name)
    for name in ("name", "default_model_filename"):
        left.ClearField(name)
    for tensor in (*left.input, *left.output):
        for name in ("name", "data_type", "dims"):
            tensor.ClearField(name)


def _carry_remarks(left: ModelConfig, _: ServingConfig) -> None:
    """Take what a replica says of a version beside its config: it is no setting."""
    for name in [name for name in left.parameters if name.startswith(REMARKS)]:
        del left.parameters[name]


def _carry_batch_size(left: ModelConfig, taken: ServingConfig) -> None:
    """Take max_batch_size; 0 is left to the proposal where Triton would complete it, too."""
    size = left.max_batch_size
    if size or is_complete(left):
        taken.batching.max_batch_size = max(0, min(size, MAX_BATCH_SIZE))
    if 0 <= size <= MAX_BATCH_SIZE:
        left.ClearField("max_batch_size")


def _carry_instances(left: ModelConfig, taken: ServingConfig) -> None:
    """Take the groups of one kind, GPUs first: their instances together, and where they run."""
    groups = list(left.instance_group)
    if not groups:
        return
    kinds = [group.kind for group in groups]
    kind = _GROUP.KIND_GPU if _GROUP.KIND_GPU in kinds else kinds[0]
    chosen = [group for group in groups if group.kind == kind]
    taken.provider = _PROVIDERS[kind]
    if any(group.count > 0 for group in chosen):
        _carry_counts(chosen, taken)
    for group in chosen:
        group.ClearField("kind")
        if list(group.gpus) == _FIRST_DEVICE:
            group.ClearField("gpus")


def _carry_counts(groups: list[Any], taken: ServingConfig) -> None:
    total = sum(max(1, group.count) for group in groups)
    taken.instances = min(total, MAX_INSTANCES)
    if total <= MAX_INSTANCES:
        for group in groups:
            group.ClearField("count")


Carrier: TypeAlias = "Callable[[ModelConfig, ServingConfig], None]"
_CARRIERS: tuple[Carrier, ...] = (
    carry_reshapes,  # looks at names and dims
    carry_warm_up,  # looks at the batching, which the others take
    _carry_batch_size,  # looks at inputs and outputs
    _carry_identity,
    _carry_remarks,
    carry_dynamic_batching,
    _carry_instances,
    carry_accelerators,  # looks at the provider
    carry_cuda_parameters,
    carry_session,
)


def _implied(config: model_config_pb2.ModelConfig) -> Iterator[UnsupportedField]:
    """Yield Triton's behaviour that follows from what the config leaves out or a version does not bring."""
    libraries = library_names(config)
    if libraries:
        yield UnsupportedField(
            "model_operations.op_library_filename",
            ", ".join(libraries),
            "a library is not part of a version: services load it by its name from a folder of their own",
            "put it into the folder of the setting custom_operators, of the registry and of every replica",
        )
    if config.max_batch_size > 1 and is_complete(config) and not _has_scheduler(config):
        yield UnsupportedField(
            "dynamic_batching",
            "(left out)",
            "Triton runs every request alone; Headrace runs waiting rows of one shape together",
            f"{NOTHING}, unless rows of a batch act on one another: then set max_batch_size to 0",
        )


def _has_scheduler(config: model_config_pb2.ModelConfig) -> bool:
    return config.WhichOneof("scheduling_choice") is not None
