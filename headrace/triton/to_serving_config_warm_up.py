"""A Triton config's warm-up samples, as those of a serving config."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from headrace.conversion import MAX_WARM_UP_RUNS, MAX_WARM_UP_SAMPLES
from headrace.conversion.ranges import MAX_SAMPLE_NAME_CHARACTERS
from headrace.type.v1 import serving_config_pb2

if TYPE_CHECKING:
    from headrace.inference.model_config_pb2 import ModelConfig
    from headrace.type.v1.serving_config_pb2 import ServingConfig

FOLDER = "warmup"
"""Where a Triton model has the files of its samples; in an artifact they have the same paths."""


def carry_warm_up(left: ModelConfig, taken: ServingConfig) -> None:
    """Take samples as what Headrace makes up by itself, if there are no others, else one by one."""
    samples = list(left.model_warmup)
    data = _made_up(left, samples)
    if data is None:
        _carry_samples(left, samples[:MAX_WARM_UP_SAMPLES], taken)
    elif samples:
        _carry_runs(samples, data, taken)
    for sample in samples:
        if sample.count <= MAX_WARM_UP_RUNS:
            sample.ClearField("count")
        if sample.batch_size in _warmed_sizes(left):
            sample.ClearField("batch_size")


def _carry_runs(samples: list[Any], data: str, taken: ServingConfig) -> None:
    taken.warm_up.runs = min(max(_runs(sample) for sample in samples), MAX_WARM_UP_RUNS)
    if data == "random_data":
        taken.warm_up.data = serving_config_pb2.MADE_UP_DATA_RANDOM
    for sample in samples:
        sample.ClearField("name")
        sample.ClearField("inputs")


def _carry_samples(config: ModelConfig, samples: list[Any], taken: ServingConfig) -> None:
    """Take samples whole: one of which an input has its file elsewhere is none."""
    for sample in samples:
        ours = serving_config_pb2.ServingConfig.WarmUp.Sample()
        for name in list(sample.inputs):
            if _carry_input(config, sample.inputs[name], name, ours.inputs[name]):
                del sample.inputs[name]
        if sample.inputs:
            continue
        ours.runs = min(_runs(sample), MAX_WARM_UP_RUNS)
        if len(sample.name) <= MAX_SAMPLE_NAME_CHARACTERS and sample.name.isprintable():
            ours.name = sample.name
        sample.ClearField("name")
        taken.warm_up.samples.append(ours)


def _carry_input(config: ModelConfig, value: Any, name: str, ours: Any) -> bool:
    """Take an input of a sample; False where its file lies elsewhere."""
    kind = value.WhichOneof("input_data_type")
    ours.shape.extend(_graph_dims(config, value, name))
    if kind == "input_data_file":
        ours.file = f"{FOLDER}/{value.input_data_file}"
        return is_inside(value.input_data_file)
    random = kind == "random_data"
    ours.data = (
        serving_config_pb2.MADE_UP_DATA_RANDOM if random else serving_config_pb2.MADE_UP_DATA_ZEROS
    )
    return True


def is_inside(name: str) -> bool:
    """Return whether a sample's file lies in the model's folder for them."""
    path = PurePosixPath(name)
    return str(path) == name and not path.is_absolute() and ".." not in path.parts


def _graph_dims(config: ModelConfig, value: Any, name: str) -> list[int]:
    """The dims as the graph has them: where the config reshapes fixed ones, those that it makes of them."""
    for spec in config.input:
        if spec.name == name and spec.HasField("reshape") and list(value.dims) == list(spec.dims):
            return list(spec.reshape.shape)
    return list(value.dims)


def _runs(sample: Any) -> int:
    return max(1, int(sample.count))


def _warmed_sizes(config: ModelConfig) -> set[int]:
    largest = max(1, config.max_batch_size)
    powers = {1 << exponent for exponent in range(largest.bit_length())}
    return {0, largest, *powers, *config.dynamic_batching.preferred_batch_size}


def _made_up(config: ModelConfig, samples: list[Any]) -> str | None:
    """The kind of all samples, if Headrace makes up the same: as the config fixes shapes, else with 1."""
    values = [(name, sample.inputs[name]) for sample in samples for name in sample.inputs]
    kinds = {value.WhichOneof("input_data_type") for _, value in values} or {"zero_data"}
    shapes = {spec.name: [1 if size < 0 else size for size in spec.dims] for spec in config.input}
    if len(kinds) > 1 or any(list(value.dims) != shapes.get(name) for name, value in values):
        return None
    (kind,) = kinds
    return str(kind) if kind in ("zero_data", "random_data") else None
