"""ONNX Runtime's session options: a section of a serving config."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.conversion.ranges import MAX_DIMENSION, MAX_OPERATOR_LIBRARIES, MAX_THREADS
from headrace.conversion.reading import Reader, enum_values
from headrace.state.records import ExecutionMode, GraphOptimization, SessionOptions
from headrace.type.v1 import serving_config_pb2
from headrace.type.v1.serving_config_pb2 import ServingConfig as ConfigMessage

_MAX_NAME_BYTES = 255
"""Of a file, as file systems have it."""


def session_to_proto(session: SessionOptions) -> serving_config_pb2.ServingConfig.Session:
    """The section as its message, every field set that has a value."""
    return serving_config_pb2.ServingConfig.Session(
        intra_op_threads=session.intra_op_threads,
        inter_op_threads=session.inter_op_threads,
        graph_optimization=f"GRAPH_OPTIMIZATION_{session.graph_optimization.name}",
        execution_mode=f"EXECUTION_MODE_{session.execution_mode.name}",
        cpu_memory_arena=session.cpu_memory_arena,
        memory_pattern=session.memory_pattern,
        free_dimensions=session.free_dimensions,
        custom_operators=session.custom_operators,
        io_binding=session.io_binding,
    )


def session_from_proto(
    reader: Reader, proto: ConfigMessage.Session, default: SessionOptions, path: str
) -> SessionOptions:
    """Return what the message sets, over `default`."""
    threads = (0, MAX_THREADS)
    levels = enum_values("GRAPH_OPTIMIZATION_", GraphOptimization)
    modes = enum_values("EXECUTION_MODE_", ExecutionMode)
    return SessionOptions(
        intra_op_threads=reader.number(
            proto, "intra_op_threads", default.intra_op_threads, threads, path
        ),
        inter_op_threads=reader.number(
            proto, "inter_op_threads", default.inter_op_threads, threads, path
        ),
        graph_optimization=reader.choice(
            proto, "graph_optimization", default.graph_optimization, levels, path
        ),
        execution_mode=reader.choice(proto, "execution_mode", default.execution_mode, modes, path),
        cpu_memory_arena=reader.flag(proto, "cpu_memory_arena", default=default.cpu_memory_arena),
        memory_pattern=reader.flag(proto, "memory_pattern", default=default.memory_pattern),
        free_dimensions=_free_dimensions(reader, proto, default.free_dimensions, path),
        custom_operators=_custom_operators(reader, proto, default.custom_operators, path),
        io_binding=proto.io_binding if proto.HasField("io_binding") else default.io_binding,
    )


def _free_dimensions(
    reader: Reader, proto: ConfigMessage.Session, default: Mapping[str, int], path: str
) -> Mapping[str, int]:
    for name, size in sorted(proto.free_dimensions.items()):
        reader.in_range(size, (1, MAX_DIMENSION), f"{path}.free_dimensions[{name[:80]!r}]")
    return dict(sorted(proto.free_dimensions.items())) or default


def _custom_operators(
    reader: Reader, proto: ConfigMessage.Session, default: tuple[str, ...], path: str
) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(proto.custom_operators))
    if len(names) > MAX_OPERATOR_LIBRARIES:
        reader.wrong(
            f"{path}.custom_operators",
            f"{len(names)} libraries are more than {MAX_OPERATOR_LIBRARIES}",
        )
    for name in names:
        if not _is_file_name(name):
            reader.wrong(
                f"{path}.custom_operators",
                f"{name[:80]!r} is not a plain file name: libraries are taken only from the folder of the "
                "setting custom_operators, where an operator of the service puts them",
            )
    return names or default


def _is_file_name(name: str) -> bool:
    plain = name.isprintable() and not set(name) & set("/\\")
    return plain and name not in ("", ".", "..") and len(name.encode()) <= _MAX_NAME_BYTES
