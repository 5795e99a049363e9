"""Describes the routes of OpenAI's API in the port's OpenAPI document; clients have the types in full."""

from __future__ import annotations

from headrace_inference.wire.rest.openapi.document import Description
from headrace_inference.wire.rest.openapi.operations import EVENTS, JSON, Operation
from headrace_inference.wire.rest.openapi.schemas import Schema

TEXT, PROBES = "Text, as OpenAI's API has it", "Probes"

_ERRORS = (400, 404, 413, 415, 429, 500, 503, 504)
_LIST_ERRORS = (400, 404, 500, 503)
_ERROR = "OpenAiError"

_STRING: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}


def _asking(required: tuple[str, ...], **properties: Schema) -> Schema:
    """A body: OpenAI's members, and vLLM's; those that are not known are ignored."""
    model: Schema = {
        "type": "string",
        "description": "As GET /v1/models lists it: a name, name@alias, or name/version.",
    }
    return {
        "type": "object",
        "properties": {"model": model, **properties},
        "required": ["model", *required],
    }


def _answer(*required: str) -> Schema:
    return {"type": "object", "required": list(required)}


_MODEL: Schema = {
    "type": "object",
    "properties": {
        "id": _STRING,
        "object": {"const": "model"},
        "created": _COUNT,
        "owned_by": _STRING,
        "max_model_len": _COUNT,
        "kind": {"enum": ["generation", "embedding", "rerank"]},
    },
    "required": ["id", "object", "created", "owned_by"],
}

_SCHEMAS: dict[str, Schema] = {
    _ERROR: {
        "description": "`reason` is a constant, listed in docs/errors.md; `param` is the member at fault.",
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {
                    "message": {"type": "string", "minLength": 1},
                    "type": _STRING,
                    "param": {"type": ["string", "null"]},
                    "code": _STRING,
                    "reason": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"},
                },
                "required": ["message", "type", "param", "code", "reason"],
            }
        },
        "required": ["error"],
    },
    "TextModel": _MODEL,
    "TextModels": {
        "type": "object",
        "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": _MODEL}},
        "required": ["object", "data"],
    },
    "ChatBody": _asking(("messages",), messages={"type": "array", "minItems": 1}),
    "ChatAnswer": _answer("id", "object", "created", "model", "choices", "usage"),
    "CompletionBody": _asking(("prompt",), prompt={"type": ["string", "array"]}),
    "CompletionAnswer": _answer("id", "object", "created", "model", "choices", "usage"),
    "ResponseBody": _asking(("input",), input={"type": ["string", "array"]}),
    "ResponseAnswer": _answer("id", "object", "created_at", "model", "output", "status"),
    "EmbeddingBody": _asking(("input",), input={"type": ["string", "array"]}),
    "EmbeddingAnswer": _answer("object", "data", "model", "usage"),
    "RerankBody": _asking(("query", "documents"), query=_STRING, documents={"type": "array"}),
    "RerankAnswer": _answer("id", "results"),
    "TokenizeBody": _asking((), prompt=_STRING, messages={"type": "array", "minItems": 1}),
    "TokenizeAnswer": _answer("count", "max_model_len", "tokens"),
    "DetokenizeBody": _asking(("tokens",), tokens={"type": "array", "items": _COUNT}),
    "DetokenizeAnswer": _answer("prompt"),
    "Version": _answer("version"),
    "Health": _answer("status"),
}


def _posted(path: str, name: str, summary: str, noun: str, *, streams: bool = False) -> Operation:
    answer = {JSON: f"{noun}Answer"} | ({EVENTS: "Events"} if streams else {})
    return Operation(
        "post", path, name, TEXT, summary, answer, _ERRORS, {JSON: f"{noun}Body"},
        body_required=True, error=_ERROR,
    )  # fmt: skip


_OPERATIONS = (
    _posted("/v1/chat/completions", "chat", "The next turn of a conversation", "Chat", streams=True),
    _posted("/v1/completions", "complete", "What follows a prompt, without a chat template",
            "Completion", streams=True),
    _posted("/v1/responses", "respond", "A chat in OpenAI's newer form; nothing is kept",
            "Response", streams=True),
    _posted("/v1/embeddings", "embed", "A vector for each text", "Embedding"),
    *(_posted(f"{prefix}/rerank", f"rerank{of}", "Documents by how well they answer a query", "Rerank")
      for prefix, of in (("/v1", ""), ("/v2", "OfVersion2"), ("", "OfRoot"))),
    *(operation for prefix, of in (("/v1", ""), ("", "OfRoot")) for operation in (
        _posted(f"{prefix}/tokenize", f"tokenize{of}", "A text or a conversation as tokens", "Tokenize"),
        _posted(f"{prefix}/detokenize", f"detokenize{of}", "Tokens as a text", "Detokenize"),
    )),
    Operation("get", "/v1/models", "listTextModels", TEXT, "The models of text that can be called here",
              {JSON: "TextModels"}, _LIST_ERRORS, error=_ERROR),
    Operation("get", "/v1/models/{id}", "textModel", TEXT, "One of them",
              {JSON: "TextModel"}, _LIST_ERRORS, error=_ERROR),
    Operation("get", "/version", "version", PROBES, "The server's version", {JSON: "Version"}, (500,)),
    *(Operation("get", f"/{name}", name, PROBES, "Whether requests are taken: 200 or 503",
                {JSON: "Health"}, (500,), unready_status=503, unready="Health")
      for name in ("health", "ping")),
)  # fmt: skip

DESCRIPTION = Description(
    _OPERATIONS,
    _SCHEMAS,
    {"id": "A model as GET /v1/models lists it; a slash in it is written as %2F."},
)
