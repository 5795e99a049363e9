"""Records as messages of `headrace.registry.v1`: pure functions."""

from __future__ import annotations

from headrace import conversion
from headrace.conversion import (
    kind_to_proto,
    language_to_proto,
    serving_config_to_proto,
    signature_to_proto,
    timestamp_to_proto,
)
from headrace.conversion.gates import gate_to_proto
from headrace.registry.v1 import (
    alias_pb2,
    model_pb2,
    replica_pb2,
    route_pb2,
    version_pb2,
)
from headrace.resource_names import (
    alias_resource,
    model_resource,
    route_resource,
    version_resource,
)
from headrace.state.annotation_records import AnnotationRecord
from headrace.state.catalog import Catalog
from headrace.state.records import (
    AliasRecord,
    ArtifactFile,
    ModelRecord,
    ReplicaRecord,
    ReplicaVersion,
    VersionRecord,
)
from headrace.state.route_records import RouteRecord
from headrace.type.v1 import language_pb2
from headrace_registry.domain.decisions.etags import etag_of
from headrace_registry.domain.resources.annotations import annotations_in
from headrace_registry.domain.resources.versions import find_version


def model_in_catalog(catalog: Catalog, model: ModelRecord) -> model_pb2.Model:
    """A model as its message, with the kind of its stable version."""
    proto = model_to_proto(model)
    stable = catalog.versions.get((model.name, model.route.stable)) if model.route else None
    if stable is not None:
        proto.kind = getattr(language_pb2, kind_to_proto(stable.kind))
    return proto


def model_to_proto(model: ModelRecord) -> model_pb2.Model:
    """A model as its message."""
    return model_pb2.Model(
        name=model_resource(model.name),
        description=model.description,
        labels=model.labels,
        keep_latest=model.keep_latest,
        pinned=model.pinned,
        protected=model.protected,
        gate=gate_to_proto(model.gate) if model.gate else None,
        create_time=timestamp_to_proto(model.created_at),
        last_version=model.last_number,
        etag=etag_of(model.revision),
    )


def version_in_catalog(catalog: Catalog, model: str, number: int) -> version_pb2.Version:
    """A version as its message, with what is said of it now. Raises NotFound."""
    version = find_version(catalog, model, number)
    return version_to_proto(version, annotations_in(catalog, model, number))


def version_to_proto(
    version: VersionRecord, said: AnnotationRecord | None = None
) -> version_pb2.Version:
    """A version as its message. A description that is said of it hides its own."""
    return version_pb2.Version(
        name=version_resource(version.model, version.number),
        number=version.number,
        digest=version.digest,
        files=[_file_to_proto(file) for file in version.files],
        graph_path=version.graph_path,
        signature=signature_to_proto(version.signature),
        serving_config=serving_config_to_proto(version.config),
        description=(said.description if said else "") or version.description,
        create_time=timestamp_to_proto(version.created_at),
        etag=etag_of(version.revision),
        notices=version.notices,
        signature_bundle=version.signature_bundle,
        kind=kind_to_proto(version.kind),
        language=language_to_proto(version.language) if version.language else None,
    )


def _file_to_proto(file: ArtifactFile) -> version_pb2.ArtifactFile:
    return version_pb2.ArtifactFile(path=file.path, size_bytes=file.size_bytes, sha256=file.sha256)


def alias_to_proto(model: str, name: str, alias: AliasRecord) -> alias_pb2.Alias:
    """An alias of a model as its message."""
    return alias_pb2.Alias(
        name=alias_resource(model, name),
        version=alias.version,
        update_time=timestamp_to_proto(alias.updated_at),
        etag=etag_of(alias.revision),
    )


def route_to_proto(model: str, route: RouteRecord) -> route_pb2.Route:
    """The route of a model as its message."""
    proto = conversion.route_to_proto(route)
    proto.name = route_resource(model)
    proto.previous_version = route.previous or 0
    proto.update_time.CopyFrom(timestamp_to_proto(route.updated_at))
    proto.etag = etag_of(route.revision)
    return proto


def replica_to_proto(replica: ReplicaRecord) -> replica_pb2.Replica:
    """A replica as its message."""
    return replica_pb2.Replica(
        name=f"replicas/{replica.id}",
        grpc_address=replica.grpc_address,
        http_address=replica.http_address,
        metrics_address=replica.metrics_address,
        pid=replica.pid,
        start_time=timestamp_to_proto(replica.started_at),
        applied_revision=replica.applied_revision,
        labels=replica.labels,
        devices=replica.devices,
        loads_on_request=replica.loads_on_request,
        versions=[_replica_version_to_proto(version) for version in replica.versions],
        stage=f"REPLICA_STAGE_{replica.stage.name}",
        problem=replica.problem,
    )


def _replica_version_to_proto(version: ReplicaVersion) -> replica_pb2.ReplicaVersion:
    return replica_pb2.ReplicaVersion(
        version=version_resource(version.model, version.number),
        state=f"VERSION_STATE_{version.state}",
        reason=version.reason,
        memory_bytes=version.memory_bytes,
        provider=version.provider,
    )
