"""Reasons that no request here brings about, each with why; where it is raised is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Elsewhere(NamedTuple):
    """Reasons that callers of a service are not told, and the only places that may raise them."""

    why: str
    places: tuple[str, ...]
    reasons: frozenset[str]


ELSEWHERE: tuple[Elsewhere, ...] = (
    Elsewhere(
        "The Python client and the command line say it, and no service does: nothing is counted.",
        (
            "headrace/client/",
            "headrace/cli/",
            "headrace/profiles.py",
            "headrace/lifecycle/optimisation/",
            "headrace/model_files/external_data.py",
        ),
        frozenset(
            [
                "ARTIFACT_EMPTY",
                "ARTIFACT_KIND_UNKNOWN",
                "ARTIFACT_NOT_FOUND",
                "ARTIFACT_NOT_PLAIN",
                "ARTIFACT_NOT_SIGNABLE",
                "ARTIFACT_UNREADABLE",
                "CANARY_INCOMPLETE",
                "CONFIG_MALFORMED",
                "EXTERNAL_DATA_MISSING",
                "EXTERNAL_DATA_UNSAFE",
                "FILE_NOT_FOUND",
                "FOLDER_NOT_EMPTY",
                "FORKED_WHILE_CONNECTED",
                "HEADER_INVALID",
                "INPUTS_UNNAMED",
                "INPUT_NOT_CONVERTIBLE",
                "KEY_MALFORMED",
                "NO_PREVIOUS_VERSION",
                "PARAMETER_UNSUPPORTED",
                "PORT_NOT_GRPC",
                "PROFILE_INVALID",
                "PROFILE_NOT_FOUND",
                "PROFILE_NOT_KEPT",
                "RESPONSE_MALFORMED",
                "SAMPLES_INVALID",
                "SCHEMA_LIBRARY_MISSING",
                "SERVICE_SILENT",
                "SERVICE_UNREACHABLE",
                "SHADOW_INCOMPLETE",
                "STREAM_ENDED",
                "TLS_FAILED",
                "TOKENIZERS_DIFFER",
                "VERSION_UNAVAILABLE",
            ]
        ),
    ),
    Elsewhere(
        "Said of files, by commands, at a start or before a call; tests of tls bring them about.",
        ("headrace/tls/",),
        frozenset(
            [
                "CERTIFICATES_UNAVAILABLE",
                "CERTIFICATE_EXISTS",
                "CERTIFICATE_NAME_INVALID",
                "CERTIFICATE_NOT_FOUND",
                "TLS_FILES_INVALID",
                "TLS_FILE_UNREADABLE",
                "TOKEN_FILE_UNUSABLE",
                "TOKEN_IN_PLAINTEXT",
            ]
        ),
    ),
    Elsewhere(
        "Said at a start, and by a command that reads files; tests/rpc/test_payload_log.py has them.",
        ("headrace/payload_log/", "headrace/cli/replay.py", "headrace/lifecycle/tables/"),
        frozenset(["PARQUET_MISSING", "PAYLOAD_LOG_UNREADABLE"]),
    ),
    Elsewhere(
        "Of images, in the caller's process; tests/unit/headrace/cli/test_infer_inputs.py has them.",
        ("headrace/images.py",),
        frozenset(["IMAGE_INVALID", "IMAGE_LIBRARY_MISSING"]),
    ),
    Elsewhere(
        "The lifecycle's, in the caller's process; tests/unit/headrace/lifecycle brings them about.",
        ("headrace/lifecycle/",),
        frozenset(
            [
                "BATCH_CHANGED",
                "BATCH_DISK_FULL",
                "BATCH_INVALID",
                "BATCH_RUNNING",
                "EVALUATION_IMPOSSIBLE",
                "GRAPH_UNUSABLE",
                "MEASURING_ENDED",
                "METHOD_INVALID",
                "NOTHING_TO_OPTIMISE",
                "LIFECYCLE_EXTRA_MISSING",
                "JOURNAL_DAMAGED",
                "JOURNAL_UNWRITABLE",
                "MODEL_MOVES",
                "OUTPUT_EXISTS",
                "OUTPUT_WITHOUT_ROWS",
                "RAY_UNREACHABLE",
                "RETRAINING_INVALID",
                "RETRAINING_UNDER_WAY",
                "ROUTE_BUSY",
                "ROWS_INVALID",
                "TRAINING_FAILED",
            ]
        ),
    ),
    Elsewhere(
        "Explanations', in the caller's process; tests/unit/headrace/lifecycle/explanation has them.",
        ("headrace/lifecycle/explanation/", "headrace/client/explanations.py"),
        frozenset(
            [
                "ANSWER_NOT_FINITE",
                "EXPLANATION_INVALID",
                "EXPLANATION_TOO_LARGE",
                "MASKED_ROWS_REFUSED",
            ]
        ),
    ),
    Elsewhere(
        "Of more roles and bindings than a test makes; tests/unit/registry/test_access.py does.",
        ("services/registry/headrace_registry/domain/resources/",),
        frozenset(["TOO_MANY_BINDINGS", "TOO_MANY_ROLES"]),
    ),
    Elsewhere(
        "Of more silences than a test makes; tests/unit/monitor/alerts/test_alert_book.py does.",
        ("services/monitor/headrace_monitor/domain/alerts/",),
        frozenset(["TOO_MANY_SILENCES"]),
    ),
    Elsewhere(
        "The console's JSON alone tells it; tests/rpc/test_console_changes.py brings it about.",
        ("services/monitor/headrace_monitor/wire/console/",),
        frozenset(["CHANGE_INVALID", "PAGE_FOREIGN"]),
    ),
    Elsewhere(
        "Said where authentication is on; tests/security/test_services_monitor.py brings it about.",
        ("services/monitor/headrace_monitor/domain/replicas/reporter_limit.py",),
        frozenset(["REPLICA_ID_TAKEN"]),
    ),
    Elsewhere(
        "Said where authentication is on; tests/security brings them about over the wires.",
        (
            "headrace/security/",
            "headrace/service/",
            "services/registry/headrace_registry/wire/sight.py",
            "services/inference/headrace_inference/domain/ingress/call_limits.py",
        ),
        frozenset(
            [
                "API_KEY_EXPIRED",
                "API_KEY_INVALID",
                "CALLER_LIMIT",
                "CREDENTIALS_CONFLICT",
                "CREDENTIALS_MALFORMED",
                "CREDENTIALS_MISSING",
                "IDENTITY_FILE_INVALID",
                "RIGHTS_FILE_INVALID",
                "JWT_NOT_INSTALLED",
                "PERMISSION_DENIED",
                "RIGHTS_UNKNOWN",
                "TOKEN_EXPIRED",
                "TOKEN_INVALID",
                "TOKEN_KEYS_UNAVAILABLE",
                "TOO_MANY_NEW_TOKENS",
            ]
        ),
    ),
    Elsewhere(
        "Of a replica that shares ports with one that hangs, as tests/rpc/test_shared_ports.py has one; "
        "and of one that the console asks.",
        (
            "services/inference/headrace_inference/adapters/siblings.py",
            "services/monitor/headrace_monitor/",
        ),
        frozenset(["REPLICA_UNREACHABLE"]),
    ),
    Elsewhere(
        "Counts for a shadow's version; the caller of the request that was copied never hears of it.",
        (
            "services/inference/headrace_inference/domain/ingress/shadow_copies.py",
            "services/inference/headrace_inference/domain/ingress/shadow_generations.py",
        ),
        frozenset(["SHADOW_DROPPED"]),
    ),
    Elsewhere(
        "Reads a GGUF file, for the command line.",
        ("headrace/language/gguf/",),
        frozenset(["GGUF_INVALID", "GGUF_UNSUPPORTED"]),
    ),
    Elsewhere(
        "Reads a repository of Triton's, for the command line.",
        ("headrace/triton/",),
        frozenset(
            [
                "CONFIG_PBTXT_INVALID",
                "TRITON_FLAG_MALFORMED",
                "TRITON_MODEL_INVALID",
                "TRITON_MODEL_NOT_FOUND",
                "TRITON_VERSION_NOT_FOUND",
            ]
        ),
    ),
    Elsewhere(
        "Ends a service, or `headrace up`, before it serves: the log and the exit status have it.",
        (
            "headrace/service/folder_lock.py",
            "headrace/service/gateway_sockets.py",
            "headrace/service/grpc_serving.py",
            "headrace/service/http/server.py",
            "headrace/service/listening.py",
            "headrace/onnx_runtime/installation.py",
            "headrace/service/socket_folders.py",
            "headrace/gateway/",
            "headrace/local/",
            "services/inference/headrace_inference/adapters/model_folder/",
            "services/inference/headrace_inference/app/",
            "services/inference/headrace_inference/wire/native/server.py",
            "services/monitor/headrace_monitor/adapters/store_schema.py",
            "services/monitor/headrace_monitor/app/alerts.py",
            "services/monitor/headrace_monitor/adapters/window_store.py",
            "services/registry/headrace_registry/adapters/shared_state/history_note.py",
        ),
        frozenset(
            [
                "ADDRESS_IN_USE",
                "ALERT_RULES_UNUSABLE",
                "CHILD_NOT_READY",
                "DATA_FROM_NEWER_VERSION",
                "DATA_IN_USE",
                "DATA_UNUSABLE",
                "EMBEDDED_SERVER_FAILED",
                "FRONT_UNAVAILABLE",
                "MODEL_FOLDER_UNUSABLE",
                "ENVOY_SILENT",
                "GATEWAY_REFUSED",
                "NO_ENVOY",
                "NO_REDIS_SERVER",
                "ONNX_RUNTIME_BROKEN",
                "PORTS_TAKEN",
                "SOCKET_FOLDER_TAKEN",
                "SOCKET_PATH_TOO_LONG",
            ]
        ),
    ),
    Elsewhere(
        "Stands in a version's status on a replica; requests for it are told VERSION_NOT_READY.",
        (
            "services/inference/headrace_inference/adapters/",
            "services/inference/headrace_inference/app/origins.py",
            "services/inference/headrace_inference/domain/reconciliation/load_failures.py",
        ),
        frozenset(
            [
                "ARTIFACT_CORRUPT",
                "ARTIFACT_DAMAGED",
                "ARTIFACT_UNAVAILABLE",
                "CACHE_DISK_FULL",
                "DATATYPES_UNSUPPORTED",
                "DEVICE_FAILED",
                "LOAD_ABANDONED",
                "LOAD_CRASHED",
                "LOAD_ERROR",
                "LOAD_FILES_UNUSABLE",
                "LOAD_KILLED",
                "LOAD_NOT_STARTED",
                "LOAD_TIMEOUT",
                "LOAD_TOO_LARGE",
                "MEMORY_PROMISED",
                "MODEL_UNLOADABLE",
                "OUT_OF_MEMORY",
                "PROVIDER_UNAVAILABLE",
                "VERSION_BROKEN",
                "VERSION_UNTRUSTED",
                "WARM_UP_FAILED",
            ]
        ),
    ),
    Elsewhere(
        "Versions that answer a request several times: no runtime that a replica has does. "
        "tests/rpc/test_streamed_responses.py has it told, by a runtime of its own.",
        (
            "services/inference/headrace_inference/domain/versions/stream_executor.py",
            "services/inference/headrace_inference/wire/streams/calls.py",
            "services/inference/headrace_inference/wire/rest/event_call.py",
        ),
        frozenset(("STREAM_REQUIRED", "RESPONSES_UNREAD")),
    ),
    Elsewhere(
        "Versions of text: tests/rpc/test_generative_tensors.py and "
        "tests/unit/inference/ingress/test_language_calls.py have them told.",
        (
            "services/inference/headrace_inference/domain/encoding/",
            "services/inference/headrace_inference/domain/generation/",
            "services/inference/headrace_inference/domain/versions/",
            "services/inference/headrace_inference/domain/ingress/",
            "services/inference/headrace_inference/wire/grpc/generation_requests.py",
            "services/inference/headrace_inference/wire/grpc/conversations.py",
            "services/inference/headrace_inference/wire/openai/",
            "headrace/client/text_messages.py",
            "headrace/language/",
            "headrace/cli/compare.py",
            "headrace/triton/to_model_config.py",
        ),
        frozenset(
            (
                "CHAT_TEMPLATE_MISSING",
                "CONTENT_UNSUPPORTED",
                "CONTEXT_LENGTH_EXCEEDED",
                "OPTION_UNKNOWN",
                "OPTION_UNSUPPORTED",
                "PROMPT_EMPTY",
                "PROMPT_MISSING",
                "READER_TOO_SLOW",
                "TOKEN_UNKNOWN",
                "VERSION_KIND",
            )
        ),
    ),
    Elsewhere(
        "Signing on a client, or a policy or sealing keys that a service starts with; "
        "tests/unit/headrace/artifacts has them.",
        ("headrace/artifacts/",),
        frozenset(
            (
                "SEALING_NOT_INSTALLED",
                "SEAL_KEY_UNUSABLE",
                "SIGNATURE_POLICY_INVALID",
                "SIGNING_KEY_UNUSABLE",
                "SIGNING_NOT_INSTALLED",
            )
        ),
    ),
    Elsewhere(
        "Followers of the state handle it by listing anew.",
        ("headrace/state/",),
        frozenset(("CHANGE_MISSED",)),
    ),
    Elsewhere(
        "Registries that race for one revision, and lose again and again; it is told as any other.",
        ("services/registry/headrace_registry/",),
        frozenset(("REVISION_MOVED",)),
    ),
)

CLIENT_SAYS = frozenset((("DeadlineExceeded", "VERSION_NOT_READY"),))
"""Of a reason that services have under another class: the client alone has it under this one."""

TRIED: Mapping[str, str] = {
    "ARCHIVE_EXPANDS_TOO_MUCH": "tests/unit/registry/test_unpack.py",
    "BLOB_STORE_REFUSED": "tests/rpc/test_object_store.py",
    "BLOB_STORE_UNAVAILABLE": "tests/rpc/test_object_store.py",
    "BLOB_SEAL_BROKEN": "tests/security/test_sealed_artifacts.py",
    "CHANGES_NOT_KEPT": "tests/rpc/test_registry_watch.py",
    "CHAT_TEMPLATE_FAILED": "tests/unit/headrace/language/chats/test_chat_format.py",
    "CHAT_TEMPLATE_INVALID": "tests/unit/headrace/language/chats/test_chat_format.py",
    "CHECKS_BUSY": "tests/rpc/test_registry_checks.py",
    "DATA_OUT_OF_SCHEMA": "tests/rpc/test_enforced_schemas.py",
    "DECLARED_SHAPE_IMPOSSIBLE": "tests/unit/headrace/state/test_declared_shapes.py",
    "DIMENSIONS_UNSUPPORTED": "tests/unit/inference/encoding/test_request_texts.py",
    "DISK_FULL": "tests/rpc/test_disk_reserve.py",
    "ENCODING_FAILED": "tests/unit/registry/test_encoder_check.py",
    "ENCODER_UNSUPPORTED": "tests/unit/headrace/language/test_encoder_files.py",
    "GENERATION_FAILED": "tests/unit/registry/test_generation_check.py",
    "GENERATION_UNSUPPORTED": "tests/unit/headrace/language/test_decoder_config.py",
    "GRAMMAR_INVALID": "tests/unit/inference/generation/test_grammars.py",
    "GRAMMAR_TOO_COMPLEX": "tests/unit/inference/generation/test_grammars.py",
    "HISTORY_DIFFERS": "tests/rpc/test_registry_watch.py",
    "INTAKE_FULL": "tests/rpc/test_monitor_load.py",
    "IO_BINDING_IMPOSSIBLE": "tests/rpc/test_registry_serving_config.py",
    "KV_CACHE_TOO_SMALL": "tests/unit/inference/generation/batching/test_engine_life.py",
    "LANGUAGE_EXTRA_MISSING": "tests/unit/headrace/language/test_tokenizer.py",
    "LOGITS_NOT_NUMBERS": "tests/unit/inference/generation/tokens/test_sampling.py",
    "MODEL_CHECK_FAILED": "tests/rpc/test_registry_trials.py",
    "MODEL_CHECK_OUT_OF_MEMORY": "tests/rpc/test_registry_push.py",
    "MODEL_CHECK_TIMEOUT": "tests/rpc/test_registry_push.py",
    "MODEL_ENDLESS": "tests/rpc/test_registry_trials.py",
    "NO_THREAD": "tests/unit/inference/scheduling/test_instance_threads.py",
    "OTEL_EXTRA_MISSING": "tests/rpc/test_otlp_spans.py",
    "RECORD_TOO_LARGE": "tests/unit/registry/decisions/test_limits.py",
    "SEAL_KEY_UNKNOWN": "tests/security/test_sealed_artifacts.py",
    "SERVICE_STOPPING": "tests/rpc/test_registry_watch.py",
    "SIGNATURE_MISMATCH": "tests/security/test_signed_artifacts.py",
    "SIGNATURE_MISSING": "tests/security/test_signed_artifacts.py",
    "SIGNATURE_UNTRUSTED": "tests/security/test_signed_artifacts.py",
    "STAGING_FULL": "tests/rpc/test_registry_uploads.py",
    "STATE_NOT_DURABLE": "tests/rpc/test_registry_durability.py",
    "STATE_ACCESS_DENIED": "tests/rpc/test_redis_rights.py",
    "STATE_NOT_STARTED": "tests/rpc/test_registry_outage.py",
    "STATE_NOT_WHOLE": "tests/rpc/test_state_losses.py",
    "STATE_REFUSED": "tests/rpc/test_state_refusals.py",
    "STATE_SCHEMA_NEWER": "tests/rpc/test_state_schema.py",
    "STATE_UNREADABLE": "tests/rpc/test_registry_growth.py",
    "TELEMETRY_STORE_UNAVAILABLE": "tests/rpc/test_monitor_store.py",
    "TEXTS_MISSING": "tests/unit/inference/encoding/test_request_texts.py",
    "TEXT_EMPTY": "tests/unit/inference/encoding/test_request_texts.py",
    "TEXT_INVALID": "tests/unit/headrace/language/test_tokenizer.py",
    "TOO_MANY_TEXTS": "tests/unit/inference/encoding/test_request_texts.py",
    "TOKENIZER_MISMATCH": "tests/unit/registry/test_generation_check.py",
    "TOO_MANY_PUSHES": "tests/rpc/test_registry_uploads.py",
    "TOO_MANY_WATCHES": "tests/rpc/test_registry_watch.py",
    "UPLOAD_STALLED": "tests/rpc/test_registry_uploads.py",
    "VERSION_NOT_SERVED": "tests/unit/registry/decisions/test_replacements.py",
}
"""Where a fault of disk, memory, Redis or time is made for it; counted by the same code as all others."""
