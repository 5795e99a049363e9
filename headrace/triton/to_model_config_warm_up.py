"""A serving config's warm-up as Triton's samples, for the smallest and the largest batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from headrace.model_files.warm_up_samples import NPY
from headrace.state.records import Sample, ServingConfig, SyntheticData
from headrace.triton.to_serving_config_warm_up import FOLDER

if TYPE_CHECKING:
    from headrace.inference.model_config_pb2 import ModelConfig


def add_warm_up(message: ModelConfig, config: ServingConfig) -> None:
    """Samples as they are given, or of what is made up, with free dimensions as 1."""
    warm_up = config.warm_up
    if warm_up.samples:
        for given in warm_up.samples:
            for sample in _samples(message, config, given.name, given.runs):
                _add_given(message, sample, given)
    elif warm_up.runs and message.input:
        for sample in _samples(message, config, warm_up.data.value, warm_up.runs):
            for spec in message.input:
                value = _add_input(sample, spec)
                _set_data(value, warm_up.data)


def sample_files(config: ServingConfig) -> list[str]:
    """The files of the artifact that samples have, once each."""
    inputs = [given for sample in config.warm_up.samples for given in sample.inputs.values()]
    return list(dict.fromkeys(given.file for given in inputs if given.file))


def file_name(path: str) -> str:
    """A sample's file as Triton has it, below the model's folder for them."""
    return path.removeprefix(f"{FOLDER}/")


def without_npy(config: ServingConfig) -> tuple[Sample, ...]:
    """The samples that Triton can read: it takes raw files only."""
    return tuple(
        sample
        for sample in config.warm_up.samples
        if not any(given.file.endswith(NPY) for given in sample.inputs.values())
    )


def _samples(message: ModelConfig, config: ServingConfig, name: str, runs: int) -> Iterator[Any]:
    largest = max(1, config.batching.max_batch_size)
    for rows in sorted({1, largest}):
        batch_size = rows if config.batching.max_batch_size else 0
        yield message.model_warmup.add(name=f"{name}-{rows}", batch_size=batch_size, count=runs)


def _add_given(message: ModelConfig, sample: Any, given: Sample) -> None:
    for spec in message.input:
        ours = given.inputs.get(spec.name)
        if ours is None:
            continue
        value = _add_input(sample, spec)
        if ours.shape:
            value.ClearField("dims")
            value.dims.extend(ours.shape)
        if ours.file:
            value.input_data_file = file_name(ours.file)
        else:
            _set_data(value, ours.data)


def _add_input(sample: Any, spec: Any) -> Any:
    value = sample.inputs[spec.name]
    value.data_type = spec.data_type
    value.dims.extend(1 if size < 0 else size for size in spec.dims)
    return value


def _set_data(value: Any, data: SyntheticData) -> None:
    if data is SyntheticData.RANDOM:
        value.random_data = True
    else:
        value.zero_data = True
