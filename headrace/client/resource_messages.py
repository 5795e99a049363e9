"""Messages of the registry and the monitor as what the client hands out."""

from __future__ import annotations

import json

from headrace import conversion
from headrace.client.answers import reading_an_answer
from headrace.client.resources import (
    After,
    Alias,
    Change,
    ChangedResource,
    Gap,
    Latency,
    MeasureValue,
    Model,
    PartStatistics,
    ReplicaStatistics,
    Route,
    Statistics,
    StoredRecord,
    Version,
    VersionStatistics,
)
from headrace.conversion import (
    kind_from_proto,
    language_from_proto,
    serving_config_from_proto,
    signature_from_proto,
    timestamp_from_proto,
)
from headrace.conversion.gates import gate_from_proto
from headrace.conversion.times import seconds_from_proto
from headrace.monitor.v1 import monitor_service_pb2
from headrace.registry.v1 import (
    alias_pb2,
    model_pb2,
    registry_service_pb2,
    replica_pb2,
    route_pb2,
    version_pb2,
)
from headrace.resource_names import route_resource
from headrace.state.records import (
    ArtifactFile,
    LoadState,
    ReplicaRecord,
    ReplicaStage,
    ReplicaVersion,
    ServingConfig,
)
from headrace.state.route_records import RouteRecord
from headrace.telemetry.costs import Prices


@reading_an_answer()
def model_from_proto(proto: model_pb2.Model) -> Model:
    """A model from its message."""
    return Model(
        name=_part(proto.name, 1),
        description=proto.description,
        labels=dict(proto.labels),
        keep_latest=proto.keep_latest,
        pinned=proto.pinned,
        protected=proto.protected,
        gate=gate_from_proto(proto.gate) if proto.HasField("gate") else None,
        kind=kind_from_proto(proto.kind) if proto.kind else None,
        last_version=proto.last_version,
        created_at=timestamp_from_proto(proto.create_time),
        etag=proto.etag,
    )


@reading_an_answer()
def version_from_proto(proto: version_pb2.Version) -> Version:
    """A version from its message."""
    return Version(
        model=_part(proto.name, 1),
        number=proto.number,
        digest=proto.digest,
        files=tuple(ArtifactFile(file.path, file.size_bytes, file.sha256) for file in proto.files),
        graph_path=proto.graph_path,
        signature=signature_from_proto(proto.signature),
        config=serving_config_from_proto(proto.serving_config, ServingConfig(), check=False),
        created_at=timestamp_from_proto(proto.create_time),
        description=proto.description,
        etag=proto.etag,
        notices=tuple(proto.notices),
        signature_bundle=proto.signature_bundle,
        language=language_from_proto(kind_from_proto(proto.kind), proto.language)
        if proto.HasField("language")
        else None,
    )


@reading_an_answer()
def alias_from_proto(proto: alias_pb2.Alias) -> Alias:
    """An alias from its message."""
    return Alias(
        model=_part(proto.name, 1),
        name=_part(proto.name, 3),
        version=proto.version,
        updated_at=timestamp_from_proto(proto.update_time),
        etag=proto.etag,
    )


@reading_an_answer()
def route_from_proto(proto: route_pb2.Route) -> Route:
    """A route from its message."""
    route = conversion.route_from_proto(proto)
    return Route(
        model=_part(proto.name, 1),
        stable=route.stable,
        canary=route.canary,
        previous=proto.previous_version or None,
        updated_at=timestamp_from_proto(proto.update_time),
        etag=proto.etag,
        more_canaries=route.more_canaries,
        sticky_key=route.sticky_key,
        matches=route.matches,
        shadow=route.shadow,
    )


def route_to_proto(route: Route) -> route_pb2.Route:
    """The message that asks for a route."""
    proto = conversion.route_to_proto(
        RouteRecord(
            route.stable,
            route.canary,
            more_canaries=route.more_canaries,
            sticky_key=route.sticky_key,
            matches=route.matches,
            shadow=route.shadow,
        )
    )
    proto.name, proto.etag = route_resource(route.model), route.etag
    return proto


@reading_an_answer()
def replica_from_proto(proto: replica_pb2.Replica) -> ReplicaRecord:
    """A replica from its message."""
    return ReplicaRecord(
        id=_part(proto.name, 1),
        grpc_address=proto.grpc_address,
        http_address=proto.http_address,
        metrics_address=proto.metrics_address,
        pid=proto.pid,
        started_at=timestamp_from_proto(proto.start_time),
        applied_revision=proto.applied_revision,
        labels=dict(proto.labels),
        devices=tuple(proto.devices),
        loads_on_request=proto.loads_on_request,
        versions=tuple(_replica_version_from_proto(version) for version in proto.versions),
        stage=_stage_from_proto(proto.stage),
        problem=proto.problem,
    )


def _stage_from_proto(stage: int) -> ReplicaStage:
    if stage == replica_pb2.REPLICA_STAGE_UNSPECIFIED:  # a registry too old to say
        return ReplicaStage.READY
    name = replica_pb2.ReplicaStage.Name(stage).removeprefix("REPLICA_STAGE_")
    return ReplicaStage[name]


def _replica_version_from_proto(proto: replica_pb2.ReplicaVersion) -> ReplicaVersion:
    state = replica_pb2.VersionState.Name(proto.state).removeprefix("VERSION_STATE_")
    return ReplicaVersion(
        model=_part(proto.version, 1),
        number=int(_part(proto.version, 3)),
        state=LoadState(state),
        reason=proto.reason,
        memory_bytes=proto.memory_bytes,
        provider=proto.provider,
    )


@reading_an_answer()
def change_from_proto(proto: registry_service_pb2.WatchChangesResponse) -> Change:
    """A change from its message."""
    further = [ChangedResource(each.kind, each.resource, _after(each)) for each in proto.further]
    return Change(
        proto.revision,
        proto.kind,
        proto.resource,
        proto.actor,
        _after(proto),
        tuple(further),
        proto.proof,
        proto.reason,
    )


def _after(
    proto: registry_service_pb2.WatchChangesResponse | registry_service_pb2.ChangedResource,
) -> After:
    match proto.WhichOneof("after"):
        case "model":
            return model_from_proto(proto.model)
        case "version":
            return version_from_proto(proto.version)
        case "alias":
            return alias_from_proto(proto.alias)
        case "route":
            return route_from_proto(proto.route)
        case "record":
            return StoredRecord(proto.record.collection, json.loads(proto.record.json))
        case _:
            return None


@reading_an_answer()
def statistics_from_proto(proto: monitor_service_pb2.QueryStatisticsResponse) -> Statistics:
    """Statistics from their message."""
    return Statistics(
        start_at=timestamp_from_proto(proto.start_time),
        end_at=timestamp_from_proto(proto.end_time),
        versions=tuple(_version_statistics_from_proto(version) for version in proto.statistics),
        replicas=tuple(
            ReplicaStatistics(
                replica.replica,
                timestamp_from_proto(replica.last_report_time),
                replica.dropped_reports,
                seconds_from_proto(replica.clock_ahead),
            )
            for replica in proto.replicas
        ),
        gaps=tuple(map(gap_from_proto, proto.gaps)),
        covered_seconds=seconds_from_proto(proto.covered_time),
        prices=Prices(proto.prices.per_core_hour, proto.prices.per_kwh),
    )


def gap_from_proto(gap: monitor_service_pb2.Gap) -> Gap:
    """A gap from its message."""
    return Gap(
        reason=_gap_reason(gap.reason),
        start_at=timestamp_from_proto(gap.start_time),
        end_at=timestamp_from_proto(gap.end_time),
        replica=gap.replica,
        boot_id=gap.boot_id,
        missing_reports=gap.missing_reports,
        monitor=gap.monitor,
    )


def _gap_reason(number: int) -> str:
    """The reason's name; of one that a newer monitor has, its number."""
    known = monitor_service_pb2.Gap.Reason.DESCRIPTOR.values_by_number.get(number)
    return known.name.removeprefix("REASON_") if known else str(number)


def _version_statistics_from_proto(
    proto: monitor_service_pb2.VersionStatistics,
) -> VersionStatistics:
    return VersionStatistics(
        model=proto.model,
        version=proto.version,
        replica=proto.replica,
        success_count=proto.success_count,
        error_count=proto.error_count,
        error_counts=dict(proto.error_counts),
        route_counts=dict(proto.route_counts),
        row_count=proto.row_count,
        execution_count=proto.execution_count,
        batch_counts=dict(proto.batch_counts),
        requests_per_second=proto.requests_per_second,
        total=_latency_from_proto(proto.total),
        queue=_latency_from_proto(proto.queue),
        compute=_latency_from_proto(proto.compute),
        failed=_latency_from_proto(proto.failed),
        measures={each.name: _measure_from_proto(each) for each in proto.measures},
        parts=tuple(map(_part_from_proto, proto.parts)),
    )


def _part_from_proto(proto: monitor_service_pb2.PartStatistics) -> PartStatistics:
    return PartStatistics(
        label=proto.label,
        value=proto.value,
        success_count=proto.success_count,
        error_count=proto.error_count,
        left_count=proto.left_count,
        error_counts=dict(proto.error_counts),
        total=_latency_from_proto(proto.total),
        failed=_latency_from_proto(proto.failed),
    )


def _measure_from_proto(proto: monitor_service_pb2.MeasureStatistics) -> MeasureValue:
    """A measure's value; 0 for one of a kind that only a newer client reads."""
    if proto.HasField("latency"):
        return _latency_from_proto(proto.latency)
    if proto.HasField("labels"):
        return dict(proto.labels.counts)
    return dict(proto.sizes.counts) if proto.HasField("sizes") else proto.count


def _latency_from_proto(proto: monitor_service_pb2.Latency) -> Latency:
    return Latency(
        count=proto.count,
        mean_seconds=seconds_from_proto(proto.mean),
        p50_seconds=seconds_from_proto(proto.p50),
        p90_seconds=seconds_from_proto(proto.p90),
        p95_seconds=seconds_from_proto(proto.p95),
        p99_seconds=seconds_from_proto(proto.p99),
        p999_seconds=seconds_from_proto(proto.p999),
        below_range=proto.below_range,
        above_range=proto.above_range,
    )


def _part(name: str, index: int) -> str:
    parts = name.split("/")
    if index >= len(parts):
        raise ValueError(f"{name[:200]!r} is not a resource's name")
    return parts[index]
