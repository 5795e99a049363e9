"""Converts the section on warm-up of a serving config."""

from __future__ import annotations

from pathlib import PurePosixPath

from headrace.conversion.ranges import (
    MAX_DIMENSION,
    MAX_SAMPLE_NAME_CHARACTERS,
    MAX_WARM_UP_RUNS,
    MAX_WARM_UP_SAMPLES,
)
from headrace.conversion.reading import Reader, enum_values
from headrace.state.records import Sample, SampleInput, SyntheticData, WarmUp
from headrace.type.v1 import serving_config_pb2
from headrace.type.v1.serving_config_pb2 import ServingConfig as ConfigMessage

_Message = serving_config_pb2.ServingConfig.WarmUp


def warm_up_to_proto(warm_up: WarmUp) -> serving_config_pb2.ServingConfig.WarmUp:
    """The section as its message, every field set."""
    return _Message(
        runs=warm_up.runs,
        data=f"MADE_UP_DATA_{warm_up.data.name}",
        samples=[_sample_to_proto(sample) for sample in warm_up.samples],
    )


def _sample_to_proto(sample: Sample) -> serving_config_pb2.ServingConfig.WarmUp.Sample:
    inputs = {name: _input_to_proto(given) for name, given in sample.inputs.items()}
    return _Message.Sample(name=sample.name, runs=sample.runs, inputs=inputs)


def _input_to_proto(given: SampleInput) -> serving_config_pb2.ServingConfig.WarmUp.Input:
    if given.file:
        return _Message.Input(shape=given.shape, file=given.file)
    return _Message.Input(shape=given.shape, data=f"MADE_UP_DATA_{given.data.name}")


def warm_up_from_proto(
    reader: Reader, proto: ConfigMessage.WarmUp, default: WarmUp, path: str
) -> WarmUp:
    """Return what the message sets, over `default`."""
    kinds = enum_values("MADE_UP_DATA_", SyntheticData)
    if len(proto.samples) > MAX_WARM_UP_SAMPLES:
        reader.wrong(
            f"{path}.samples", f"{len(proto.samples)} samples are more than {MAX_WARM_UP_SAMPLES}"
        )
    samples = [
        _sample(reader, sample, index, f"{path}.samples[{index}]")
        for index, sample in enumerate(proto.samples[:MAX_WARM_UP_SAMPLES])
    ]
    return WarmUp(
        runs=reader.number(proto, "runs", default.runs, (0, MAX_WARM_UP_RUNS), path),
        data=reader.choice(proto, "data", default.data, kinds, path),
        samples=tuple(samples) or default.samples,
    )


def _sample(reader: Reader, proto: ConfigMessage.WarmUp.Sample, index: int, path: str) -> Sample:
    name = proto.name or str(index)
    if len(name) > MAX_SAMPLE_NAME_CHARACTERS or not name.isprintable():
        reader.wrong(f"{path}.name", f"is not up to {MAX_SAMPLE_NAME_CHARACTERS} characters")
    inputs = {
        name: _input(reader, given, f"{path}.inputs[{name[:80]!r}]")
        for name, given in sorted(proto.inputs.items())
    }
    runs = reader.number(proto, "runs", 1, (1, MAX_WARM_UP_RUNS), path)
    return Sample(name, inputs, runs)


def _input(reader: Reader, proto: ConfigMessage.WarmUp.Input, path: str) -> SampleInput:
    if proto.WhichOneof("values") is None:
        reader.wrong(path, "says neither data nor a file")
    if proto.file and not _is_inside(proto.file):
        reader.wrong(f"{path}.file", f"{proto.file[:200]!r} is not a path inside the artifact")
    for size in proto.shape:
        reader.in_range(size, (0, MAX_DIMENSION), f"{path}.shape")
    kinds = enum_values("MADE_UP_DATA_", SyntheticData)
    data = reader.choice(proto, "data", SyntheticData.ZEROS, kinds, path)
    return SampleInput(proto.file, data, tuple(proto.shape))


def _is_inside(file: str) -> bool:
    """Return whether it is a file's path as artifacts have them: relative, plain and nowhere else."""
    path = PurePosixPath(file)
    plain = file.isprintable() and "\\" not in file and str(path) == file
    return plain and not path.is_absolute() and ".." not in path.parts
