import datetime

from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from headrace.registry.v1 import alias_pb2 as _alias_pb2
from headrace.registry.v1 import annotation_pb2 as _annotation_pb2
from headrace.registry.v1 import model_pb2 as _model_pb2
from headrace.registry.v1 import replica_pb2 as _replica_pb2
from headrace.registry.v1 import route_pb2 as _route_pb2
from headrace.registry.v1 import version_pb2 as _version_pb2
from headrace.type.v1 import language_pb2 as _language_pb2
from headrace.type.v1 import serving_config_pb2 as _serving_config_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListChangesRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "model", "actor", "kind", "start_time", "end_time", "oldest_first", "with_stored")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    WITH_STORED_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    model: str
    actor: str
    kind: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    oldest_first: bool
    with_stored: bool
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., model: _Optional[str] = ..., actor: _Optional[str] = ..., kind: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., oldest_first: _Optional[bool] = ..., with_stored: _Optional[bool] = ...) -> None: ...

class ListChangesResponse(_message.Message):
    __slots__ = ("changes", "next_page_token")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[LoggedChange]
    next_page_token: str
    def __init__(self, changes: _Optional[_Iterable[_Union[LoggedChange, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class LoggedChange(_message.Message):
    __slots__ = ("revision", "create_time", "kind", "resource", "further", "actor", "proof", "claim", "peer", "request_id", "reason", "hash", "previous_hash", "stored")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    FURTHER_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_HASH_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    revision: int
    create_time: _timestamp_pb2.Timestamp
    kind: str
    resource: str
    further: _containers.RepeatedScalarFieldContainer[str]
    actor: str
    proof: str
    claim: str
    peer: str
    request_id: str
    reason: str
    hash: str
    previous_hash: str
    stored: bytes
    def __init__(self, revision: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[str] = ..., resource: _Optional[str] = ..., further: _Optional[_Iterable[str]] = ..., actor: _Optional[str] = ..., proof: _Optional[str] = ..., claim: _Optional[str] = ..., peer: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ..., hash: _Optional[str] = ..., previous_hash: _Optional[str] = ..., stored: _Optional[bytes] = ...) -> None: ...

class CreateModelRequest(_message.Message):
    __slots__ = ("model", "request_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    request_id: str
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models", "next_page_token", "revision", "epoch", "hash")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[_model_pb2.Model]
    next_page_token: str
    revision: int
    epoch: str
    hash: str
    def __init__(self, models: _Optional[_Iterable[_Union[_model_pb2.Model, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., revision: _Optional[int] = ..., epoch: _Optional[str] = ..., hash: _Optional[str] = ...) -> None: ...

class UpdateModelRequest(_message.Message):
    __slots__ = ("model", "update_mask")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class DeleteModelRequest(_message.Message):
    __slots__ = ("name", "etag", "force")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    force: bool
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ..., force: _Optional[bool] = ...) -> None: ...

class PushVersionRequest(_message.Message):
    __slots__ = ("header", "chunk")
    class Header(_message.Message):
        __slots__ = ("parent", "filename", "size_bytes", "sha256", "serving_config", "description", "alias", "create_model", "request_id", "allow_signature_change", "signature_bundle", "kind", "annotations", "allow_gate_failure")
        PARENT_FIELD_NUMBER: _ClassVar[int]
        FILENAME_FIELD_NUMBER: _ClassVar[int]
        SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
        SHA256_FIELD_NUMBER: _ClassVar[int]
        SERVING_CONFIG_FIELD_NUMBER: _ClassVar[int]
        DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
        ALIAS_FIELD_NUMBER: _ClassVar[int]
        CREATE_MODEL_FIELD_NUMBER: _ClassVar[int]
        REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
        ALLOW_SIGNATURE_CHANGE_FIELD_NUMBER: _ClassVar[int]
        SIGNATURE_BUNDLE_FIELD_NUMBER: _ClassVar[int]
        KIND_FIELD_NUMBER: _ClassVar[int]
        ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
        ALLOW_GATE_FAILURE_FIELD_NUMBER: _ClassVar[int]
        parent: str
        filename: str
        size_bytes: int
        sha256: str
        serving_config: _serving_config_pb2.ServingConfig
        description: str
        alias: str
        create_model: bool
        request_id: str
        allow_signature_change: bool
        signature_bundle: str
        kind: _language_pb2.VersionKind
        annotations: _annotation_pb2.VersionAnnotations
        allow_gate_failure: bool
        def __init__(self, parent: _Optional[str] = ..., filename: _Optional[str] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., serving_config: _Optional[_Union[_serving_config_pb2.ServingConfig, _Mapping]] = ..., description: _Optional[str] = ..., alias: _Optional[str] = ..., create_model: _Optional[bool] = ..., request_id: _Optional[str] = ..., allow_signature_change: _Optional[bool] = ..., signature_bundle: _Optional[str] = ..., kind: _Optional[_Union[_language_pb2.VersionKind, str]] = ..., annotations: _Optional[_Union[_annotation_pb2.VersionAnnotations, _Mapping]] = ..., allow_gate_failure: _Optional[bool] = ...) -> None: ...
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    header: PushVersionRequest.Header
    chunk: bytes
    def __init__(self, header: _Optional[_Union[PushVersionRequest.Header, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class GetVersionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListVersionsRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListVersionsResponse(_message.Message):
    __slots__ = ("versions", "next_page_token")
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[_version_pb2.Version]
    next_page_token: str
    def __init__(self, versions: _Optional[_Iterable[_Union[_version_pb2.Version, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteVersionRequest(_message.Message):
    __slots__ = ("name", "etag")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class ReadBlobRequest(_message.Message):
    __slots__ = ("sha256", "offset")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    offset: int
    def __init__(self, sha256: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class ReadBlobResponse(_message.Message):
    __slots__ = ("chunk",)
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    chunk: bytes
    def __init__(self, chunk: _Optional[bytes] = ...) -> None: ...

class GetAliasRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListAliasesRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAliasesResponse(_message.Message):
    __slots__ = ("aliases", "next_page_token")
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    aliases: _containers.RepeatedCompositeFieldContainer[_alias_pb2.Alias]
    next_page_token: str
    def __init__(self, aliases: _Optional[_Iterable[_Union[_alias_pb2.Alias, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateAliasRequest(_message.Message):
    __slots__ = ("alias", "allow_missing", "allow_signature_change", "allow_unready", "allow_gate_failure")
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_FIELD_NUMBER: _ClassVar[int]
    ALLOW_SIGNATURE_CHANGE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_UNREADY_FIELD_NUMBER: _ClassVar[int]
    ALLOW_GATE_FAILURE_FIELD_NUMBER: _ClassVar[int]
    alias: _alias_pb2.Alias
    allow_missing: bool
    allow_signature_change: bool
    allow_unready: bool
    allow_gate_failure: bool
    def __init__(self, alias: _Optional[_Union[_alias_pb2.Alias, _Mapping]] = ..., allow_missing: _Optional[bool] = ..., allow_signature_change: _Optional[bool] = ..., allow_unready: _Optional[bool] = ..., allow_gate_failure: _Optional[bool] = ...) -> None: ...

class BatchUpdateAliasesRequest(_message.Message):
    __slots__ = ("parent", "requests")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    parent: str
    requests: _containers.RepeatedCompositeFieldContainer[UpdateAliasRequest]
    def __init__(self, parent: _Optional[str] = ..., requests: _Optional[_Iterable[_Union[UpdateAliasRequest, _Mapping]]] = ...) -> None: ...

class BatchUpdateAliasesResponse(_message.Message):
    __slots__ = ("aliases",)
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    aliases: _containers.RepeatedCompositeFieldContainer[_alias_pb2.Alias]
    def __init__(self, aliases: _Optional[_Iterable[_Union[_alias_pb2.Alias, _Mapping]]] = ...) -> None: ...

class DeleteAliasRequest(_message.Message):
    __slots__ = ("name", "etag")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    etag: str
    def __init__(self, name: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class GetRouteRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class UpdateRouteRequest(_message.Message):
    __slots__ = ("route", "allow_signature_change", "allow_unready", "allow_gate_failure")
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_SIGNATURE_CHANGE_FIELD_NUMBER: _ClassVar[int]
    ALLOW_UNREADY_FIELD_NUMBER: _ClassVar[int]
    ALLOW_GATE_FAILURE_FIELD_NUMBER: _ClassVar[int]
    route: _route_pb2.Route
    allow_signature_change: bool
    allow_unready: bool
    allow_gate_failure: bool
    def __init__(self, route: _Optional[_Union[_route_pb2.Route, _Mapping]] = ..., allow_signature_change: _Optional[bool] = ..., allow_unready: _Optional[bool] = ..., allow_gate_failure: _Optional[bool] = ...) -> None: ...

class ListReplicasRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "model")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    model: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class ListReplicasResponse(_message.Message):
    __slots__ = ("replicas", "next_page_token")
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    replicas: _containers.RepeatedCompositeFieldContainer[_replica_pb2.Replica]
    next_page_token: str
    def __init__(self, replicas: _Optional[_Iterable[_Union[_replica_pb2.Replica, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchChangesRequest(_message.Message):
    __slots__ = ("start_revision", "model", "start_epoch", "start_hash", "progress")
    START_REVISION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    START_EPOCH_FIELD_NUMBER: _ClassVar[int]
    START_HASH_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    start_revision: int
    model: str
    start_epoch: str
    start_hash: str
    progress: bool
    def __init__(self, start_revision: _Optional[int] = ..., model: _Optional[str] = ..., start_epoch: _Optional[str] = ..., start_hash: _Optional[str] = ..., progress: _Optional[bool] = ...) -> None: ...

class WatchChangesResponse(_message.Message):
    __slots__ = ("revision", "kind", "resource", "actor", "model", "version", "alias", "route", "record", "epoch", "hash", "further", "proof", "reason")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    FURTHER_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    revision: int
    kind: str
    resource: str
    actor: str
    model: _model_pb2.Model
    version: _version_pb2.Version
    alias: _alias_pb2.Alias
    route: _route_pb2.Route
    record: StoredRecord
    epoch: str
    hash: str
    further: _containers.RepeatedCompositeFieldContainer[ChangedResource]
    proof: str
    reason: str
    def __init__(self, revision: _Optional[int] = ..., kind: _Optional[str] = ..., resource: _Optional[str] = ..., actor: _Optional[str] = ..., model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., version: _Optional[_Union[_version_pb2.Version, _Mapping]] = ..., alias: _Optional[_Union[_alias_pb2.Alias, _Mapping]] = ..., route: _Optional[_Union[_route_pb2.Route, _Mapping]] = ..., record: _Optional[_Union[StoredRecord, _Mapping]] = ..., epoch: _Optional[str] = ..., hash: _Optional[str] = ..., further: _Optional[_Iterable[_Union[ChangedResource, _Mapping]]] = ..., proof: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ChangedResource(_message.Message):
    __slots__ = ("kind", "resource", "model", "version", "alias", "route", "record")
    KIND_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    kind: str
    resource: str
    model: _model_pb2.Model
    version: _version_pb2.Version
    alias: _alias_pb2.Alias
    route: _route_pb2.Route
    record: StoredRecord
    def __init__(self, kind: _Optional[str] = ..., resource: _Optional[str] = ..., model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., version: _Optional[_Union[_version_pb2.Version, _Mapping]] = ..., alias: _Optional[_Union[_alias_pb2.Alias, _Mapping]] = ..., route: _Optional[_Union[_route_pb2.Route, _Mapping]] = ..., record: _Optional[_Union[StoredRecord, _Mapping]] = ...) -> None: ...

class StoredRecord(_message.Message):
    __slots__ = ("collection", "json")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    collection: str
    json: str
    def __init__(self, collection: _Optional[str] = ..., json: _Optional[str] = ...) -> None: ...
