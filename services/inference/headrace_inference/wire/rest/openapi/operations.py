"""The table of REST routes, what they take and answer: the OpenAPI document is made from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

JSON = "application/json"
BINARY = "application/octet-stream"
EVENTS = "text/event-stream"
HTML = "text/html"

_READ_MODEL = (400, 404, 500, 503)
_WITH_BODY = (400, 429, 500, 501, 504)
_RUN = (400, 404, 429, 500, 501, 503, 504)
_MEMORY = (400, 404, 429, 500, 501, 503, 504)

INFERENCE, SERVER, MODELS, REPOSITORY, MEMORY, SETTINGS, DESCRIPTION = (
    "Inference",
    "Server",
    "Models",
    "Repository",
    "Shared memory",
    "Settings",
    "Description",
)


@dataclass(frozen=True, slots=True)
class Operation:
    """A verb on a path. `body` and `answer` name schemas, by media type; an empty answer has none."""

    verb: str
    path: str
    name: str
    tag: str
    summary: str
    answer: dict[str, str]
    errors: tuple[int, ...]
    body: dict[str, str] | None = None
    body_required: bool = False
    """Not so for infer: an empty tensor, sent raw, is no bytes."""
    query: tuple[str, ...] = ()
    """Parameters in the query, all optional."""
    error: str = "Error"
    """The schema of errors."""
    unready: str = ""
    """The schema of the status that says that something is not ready."""
    unready_status: int = 400


def _json(schema: str) -> dict[str, str]:
    return {JSON: schema}


_SERVER = (
    Operation("get", "/v2", "serverMetadata", SERVER, "Name, version, extensions",
              _json("ServerMetadataResponse"), (500,)),
    Operation("get", "/v2/health/live", "serverLive", SERVER, "Whether the process answers",
              _json("Live"), (500,)),
    Operation("get", "/v2/health/ready", "serverReady", SERVER,
              "Whether every wanted version is settled and requests are taken",
              _json("Ready"), (500,), unready="NotReady"),
)  # fmt: skip

_MODELS = (
    Operation("get", "", "modelMetadata", MODELS, "What a version takes and gives",
              _json("ModelMetadataResponse"), _READ_MODEL),
    Operation("get", "/ready", "modelReady", MODELS, "Whether a version can be called here",
              _json("ModelReady"), (400, 404, 500), unready="ModelNotReady"),
    Operation("get", "/config", "modelConfig", MODELS, "How a version is served, in Triton's words",
              _json("ModelConfig"), _READ_MODEL),
    Operation("get", "/stats", "modelStatistics", MODELS, "What a version did since the replica started",
              _json("ModelStatisticsResponse"), _READ_MODEL),
    Operation("post", "/infer", "infer", INFERENCE,
              "Run a version: JSON alone, or JSON and then binary tensors",
              {JSON: "InferAnswer", BINARY: "Bytes"}, _RUN,
              {JSON: "InferBody", BINARY: "Bytes"}),
    Operation("post", "/generate", "generate", INFERENCE,
              "Run a version: a JSON member for each input and output",
              _json("GenerateAnswer"), _RUN, _json("GenerateBody"), body_required=True),
    Operation("post", "/generate_stream", "generateStream", INFERENCE,
              "The same, answered by server-sent events",
              {EVENTS: "Events"}, _RUN, _json("GenerateBody"), body_required=True),
)  # fmt: skip
"""Each also under one version of a model."""

_REPOSITORY = (
    Operation("get", "/v2/models", "listModels", MODELS, "Which models there are, page by page",
              _json("Models"), (400, 500, 503), query=("page_size", "page_token")),
    Operation("get", "/v2/models/stats", "statistics", MODELS, "What all versions did",
              _json("ModelStatisticsResponse"), (500,)),
    Operation("post", "/v2/repository/index", "repositoryIndex", REPOSITORY,
              "Which versions there are, and where they stand on this replica",
              _json("Index"), _WITH_BODY, _json("IndexBody")),
    Operation("post", "/v2/repository/{repository}/index", "repositoryIndexOf", REPOSITORY,
              "The same: there is one repository, whatever its name",
              _json("Index"), _WITH_BODY, _json("IndexBody")),
    Operation("post", "/v2/repository/models/{model}/load", "load", REPOSITORY,
              "Load a model on this replica, where its settings allow that",
              {}, _RUN, _json("LoadBody")),
    Operation("post", "/v2/repository/models/{model}/unload", "unload", REPOSITORY,
              "Unload a model from this replica, where its settings allow that",
              {}, _RUN, _json("UnloadBody")),
)  # fmt: skip

_SETTINGS = (
    Operation("get", "/v2/logging", "logSettings", SETTINGS, "Which log records are made",
              _json("LogSettings"), (500,)),
    Operation("post", "/v2/logging", "changeLogSettings", SETTINGS, "Change which log records are made",
              _json("LogSettings"), _WITH_BODY, _json("LogChanges"), body_required=True),
    *(
        operation
        for path, of in (("/v2/trace/setting", ""), ("/v2/models/{model}/trace/setting", "OfModel"))
        for operation in (
            Operation("get", path, f"traceSettings{of}", SETTINGS, "Which requests are traced",
                      _json("TraceSettings"), (400, 500)),
            Operation("post", path, f"changeTraceSettings{of}", SETTINGS,
                      "Change which requests are traced",
                      _json("TraceSettings"), _WITH_BODY, _json("TraceChanges"), body_required=True),
        )
    ),
)  # fmt: skip

_DESCRIPTION = (
    Operation("get", "/", "root", DESCRIPTION, "What this port is, and where to go on",
              {JSON: "About", HTML: "Text"}, (500,)),
    Operation("get", "/openapi.json", "description", DESCRIPTION, "This document",
              _json("Document"), (500,)),
    Operation("get", "/docs", "page", DESCRIPTION, "This document as a page",
              {HTML: "Text"}, (500,)),
)  # fmt: skip


def _memory() -> Iterator[Operation]:
    for kind, name, region in (
        ("system", "System", "SystemRegion"),
        ("cuda", "Cuda", "DeviceRegion"),
    ):
        prefix = f"/v2/{kind}sharedmemory"
        for path, of in ((prefix, ""), (f"{prefix}/region/{{region}}", "Region")):
            yield Operation(
                "get", f"{path}/status", f"status{of}{name}", MEMORY, "Which regions are registered",
                _json(f"{name}Regions"), (400, 404, 500, 501),
            )  # fmt: skip
            yield Operation(
                "post", f"{path}/unregister", f"unregister{of}{name}", MEMORY,
                "Forget a region, or all", {}, (400, 404, 500, 501),
            )  # fmt: skip
        yield Operation(
            "post", f"{prefix}/region/{{region}}/register", f"register{name}", MEMORY,
            "Make shared memory known, where the replica's settings allow that",
            {}, (*_MEMORY, 409), _json(region), body_required=True,
        )  # fmt: skip


def _of_models() -> Iterator[Operation]:
    for operation in _MODELS:
        path = f"/v2/models/{{model}}{operation.path}"
        yield replace(operation, path=path)
        pinned = f"/v2/models/{{model}}/versions/{{version}}{operation.path}"
        yield replace(operation, path=pinned, name=f"{operation.name}OfVersion")


OPERATIONS: tuple[Operation, ...] = (
    *_of_models(),
    *_SERVER,
    *_REPOSITORY,
    *_memory(),
    *_SETTINGS,
    *_DESCRIPTION,
)
"""All operations, in the order of the page."""
