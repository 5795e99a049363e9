"""Makes messages of the Open Inference Protocol from versions. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from headrace.errors import InvalidArgument, Unimplemented
from headrace.inference import grpc_service_pb2 as pb
from headrace.inference import model_config_pb2 as config_pb
from headrace.state.records import LoadState, TensorSpec, VersionRecord
from headrace.telemetry.histogram import Histogram
from headrace.triton import to_model_config
from headrace.triton.to_serving_config import PLATFORM
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.extensions.log_settings import Value
from headrace_inference.domain.extensions.shared_memory import Region
from headrace_inference.domain.reconciliation.held_versions import STANDBY
from headrace_inference.domain.reconciliation.model_control import LoadRequest
from headrace_inference.domain.routing.table import RoutingTable, state_unread
from headrace_inference.domain.versions.statistics import VersionCounters

BATCHING_PARAMETER = "headrace.batching"
LAYOUT_PARAMETER = "headrace.layout"
"""In a model's config: why it batches or not."""

FILE_PREFIX = "file:"
"""In front of the path of a file that a caller brings."""

EXTENSIONS = (
    "classification",
    "model_repository",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
    "trace",
    "logging",
)
SHARED_MEMORY_EXTENSIONS = ("system_shared_memory", "cuda_shared_memory")

StatisticsItem = tuple[tuple[str, int], VersionCounters]


def server_metadata(name: str, version: str, *, shared_memory: bool) -> pb.ServerMetadataResponse:
    """The server's name and version, and the extensions of the protocol that it offers."""
    extensions = EXTENSIONS + (SHARED_MEMORY_EXTENSIONS if shared_memory else ())
    return pb.ServerMetadataResponse(name=name, version=version, extensions=extensions)


def model_metadata(record: VersionRecord, ready_numbers: Sequence[int]) -> pb.ModelMetadataResponse:
    """Return what a version takes and gives; shapes include the batch dimension.

    The protocol has no word for an unknown rank: [-1] makes tools ask for the shape.
    """
    batches = record.config.batching.max_batch_size > 0
    return pb.ModelMetadataResponse(
        name=record.model,
        versions=[str(number) for number in ready_numbers],
        platform=PLATFORM,
        inputs=[
            *(_tensor_metadata(spec, batches=batches) for spec in record.signature.inputs),
            *(_tensor_metadata(spec) for spec in record.signature.optional_inputs),
        ],
        outputs=[_tensor_metadata(spec, batches=batches) for spec in record.signature.outputs],
    )


def _tensor_metadata(
    spec: TensorSpec, *, batches: bool = False
) -> pb.ModelMetadataResponse.TensorMetadata:
    shape = (-1, *spec.shape[1:]) if batches or spec.unranked else spec.shape
    return pb.ModelMetadataResponse.TensorMetadata(
        name=spec.name, datatype=spec.datatype.value, shape=shape
    )


def model_config(record: VersionRecord, *, is_measured: bool = True) -> config_pb.ModelConfig:
    """Return how a version is served, in Triton's words; dims exclude the batch dimension.

    A parameter says so where it is not measured yet how it runs best.
    """
    message = to_model_config.model_config(record)
    if record.batching_decision:
        message.parameters[BATCHING_PARAMETER].string_value = record.batching_decision
    if not is_measured:
        message.parameters[LAYOUT_PARAMETER].string_value = "not measured yet"
    return message


def repository_index(table: RoutingTable, *, ready_only: bool) -> pb.RepositoryIndexResponse:
    """Every version that the shared state knows, with where it stands on this replica.

    Raises Unavailable before the state was read.
    """
    if not table.catalog.known:
        raise state_unread(table.catalog)
    response = pb.RepositoryIndexResponse()
    catalog = table.catalog
    keys = ((name, number) for name in catalog.model_names() for number in catalog.numbers_of(name))
    for model, number in keys:
        state, reason = state_here(table, (model, number))
        if state is LoadState.READY or not ready_only:
            response.models.add(name=model, version=str(number), state=state.value, reason=reason)
    return response


def state_here(table: RoutingTable, key: tuple[str, int]) -> tuple[LoadState, str]:
    """Return a version's state on this replica, and why; one that is loaded on request is ready."""
    if served := table.ready.get(key):
        return table.states.get(key, (LoadState.READY, ""))[0], served.remark
    if table.stands_by(key):
        return LoadState.READY, STANDBY
    return table.states.get(key, (LoadState.UNAVAILABLE, "not loaded here"))


def system_regions(regions: Iterable[Region]) -> pb.SystemSharedMemoryStatusResponse:
    """Regions of the system's memory, by name."""
    response = pb.SystemSharedMemoryStatusResponse()
    for region in regions:
        status = response.regions[region.name]
        status.name, status.key = region.name, region.key
        status.offset, status.byte_size = region.offset, region.byte_size
    return response


def device_regions(regions: Iterable[Region]) -> pb.CudaSharedMemoryStatusResponse:
    """Regions of devices' memory, by name."""
    response = pb.CudaSharedMemoryStatusResponse()
    for region in regions:
        status = response.regions[region.name]
        status.name, status.byte_size = region.name, region.byte_size
        status.device_id = region.device_id or 0
    return response


def load_request(request: pb.RepositoryModelLoadRequest) -> LoadRequest:
    """A model to load. Raises Unimplemented, or InvalidArgument for parameters that are none."""
    _refuse_repository(request.repository_name)
    config: str | None = None
    files: dict[str, bytes] = {}
    for key, value in request.parameters.items():
        kind = value.WhichOneof("parameter_choice")
        if key == "config":
            _check_kind(key, kind, "string_param")
            config = value.string_param
        elif key.startswith(FILE_PREFIX):
            _check_kind(key, kind, "bytes_param")
            files[key.removeprefix(FILE_PREFIX)] = value.bytes_param
        else:
            raise unknown_load_parameter(key)
    return LoadRequest(request.model_name, config, files)


def unloaded_name(request: pb.RepositoryModelUnloadRequest) -> str:
    """The model to unload. Raises Unimplemented, or InvalidArgument for parameters that are none."""
    _refuse_repository(request.repository_name)
    for key, value in request.parameters.items():
        if key != "unload_dependents":
            raise unknown_load_parameter(key)
        _check_kind(key, value.WhichOneof("parameter_choice"), "bool_param")
    name: str = request.model_name
    return name


def unknown_load_parameter(key: str) -> InvalidArgument:
    """Return what a caller gets who asks for something that loading does not know."""
    return InvalidArgument(
        "PARAMETER_INVALID",
        f"unrecognized load parameter '{key}'. Loading takes config and file:VERSION/NAME, unloading "
        "unload_dependents",
    )


def _refuse_repository(name: str) -> None:
    if name:
        raise Unimplemented(
            "REPOSITORY_UNSUPPORTED", "'repository_name' specification is not supported"
        )


def _check_kind(key: str, kind: str | None, expected: str) -> None:
    if kind != expected:
        raise InvalidArgument(
            "PARAMETER_INVALID",
            f"invalid value type for '{key}' parameter, expected {expected}, got {kind}",
        )


def trace_changes(request: pb.TraceSettingRequest) -> dict[str, list[str]]:
    """Return what a request changes, by setting; an empty list takes a setting back."""
    return {key: list(value.value) for key, value in request.settings.items()}


def trace_settings(settings: Mapping[str, Sequence[str]]) -> pb.TraceSettingResponse:
    """The settings of traces."""
    response = pb.TraceSettingResponse()
    for key, values in settings.items():
        response.settings[key].value.extend(values)
    return response


def log_changes(request: pb.LogSettingsRequest) -> dict[str, Value | None]:
    """Return what a request changes, by setting; None where it brings no value."""
    changes: dict[str, Value | None] = {}
    for key, value in request.settings.items():
        kind = value.WhichOneof("parameter_choice")
        changes[key] = getattr(value, kind) if kind else None
    return changes


def log_settings(settings: Mapping[str, Value]) -> pb.LogSettingsResponse:
    """The settings of logs."""
    response = pb.LogSettingsResponse()
    for key, value in settings.items():
        message = response.settings[key]
        if isinstance(value, bool):
            message.bool_param = value
        elif isinstance(value, int):
            message.uint32_param = value
        else:
            message.string_param = value
    return response


def model_statistics(items: Iterable[StatisticsItem], clock: Clock) -> pb.ModelStatisticsResponse:
    """The totals of these versions since the replica started; number 0 is no version and is left out."""
    return pb.ModelStatisticsResponse(
        model_stats=[
            _version_statistics(model, number, statistics, clock)
            for (model, number), statistics in items
            if number
        ]
    )


def _version_statistics(
    model: str, number: int, statistics: VersionCounters, clock: Clock
) -> pb.ModelStatistics:
    totals = statistics.totals()
    message = pb.ModelStatistics(
        name=model,
        version=str(number),
        last_inference=statistics.last_inference_ms(clock),
        inference_count=totals.rows,
        execution_count=totals.executions,
    )
    durations = message.inference_stats
    _set_duration(durations.success, totals.total)
    _set_duration(durations.queue, totals.queue)
    _set_duration(durations.compute_input, totals.input)
    _set_duration(durations.compute_infer, totals.infer)
    _set_duration(durations.compute_output, totals.output)
    durations.fail.count = statistics.failed.count
    durations.fail.ns = statistics.failed.ns
    _add_batches(message, statistics)
    return message


def _set_duration(message: pb.StatisticDuration, histogram: Histogram) -> None:
    message.count = histogram.count
    message.ns = histogram.sum_ns


def _add_batches(message: pb.ModelStatistics, statistics: VersionCounters) -> None:
    """Runs by their rows. The totals count each request of a run, these count the run once."""
    for rows, durations in sorted(statistics.by_batch_size.items()):
        batch = message.batch_stats.add(batch_size=rows)
        parts = (
            (batch.compute_input, durations.input_ns),
            (batch.compute_infer, durations.infer_ns),
            (batch.compute_output, durations.output_ns),
        )
        for part, nanoseconds in parts:
            part.count = durations.count
            part.ns = nanoseconds
