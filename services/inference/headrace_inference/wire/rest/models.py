"""The routes by which callers load and unload models on this replica."""

from __future__ import annotations

import base64

import msgspec

from headrace.errors import InvalidArgument
from headrace.service.http.answers import Response
from headrace.service.http.requests import Body, Request
from headrace_inference.domain.reconciliation.model_control import LoadRequest
from headrace_inference.wire.codec.messages import FILE_PREFIX, unknown_load_parameter
from headrace_inference.wire.rest.exchanges import RestApp
from headrace_inference.wire.rest.requests import decode_json
from headrace_inference.wire.server_control import ServerControl


class LoadBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters `config` (Triton's, as JSON) and `file:VERSION/NAME` (base64)."""

    parameters: dict[str, str] | None = None


class UnloadBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parameter `unload_dependents`, which has no effect here."""

    parameters: dict[str, bool] | None = None


_LOAD_BODY = msgspec.json.Decoder(LoadBody)
_UNLOAD_BODY = msgspec.json.Decoder(UnloadBody)


def add_model_control_routes(app: RestApp, control: ServerControl) -> None:
    """Add the routes to an app."""
    routes = ModelControlRoutes(control)
    app.add_with_body("POST", "/v2/repository/models/{model}/load", routes.load)
    app.add_with_body("POST", "/v2/repository/models/{model}/unload", routes.unload)


class ModelControlRoutes:
    """Decode, call, encode."""

    def __init__(self, control: ServerControl) -> None:
        self._control = control

    async def load(self, request: Request, body: Body) -> Response:
        """Load a model that the caller brings, or that was unloaded."""
        parameters = decode_json(_LOAD_BODY, body or b"{}").parameters or {}
        await self._control.load(_load_request(request.names["model"], parameters))
        return Response()

    async def unload(self, request: Request, body: Body) -> Response:
        """Unload a model."""
        for key in decode_json(_UNLOAD_BODY, body or b"{}").parameters or {}:
            if key != "unload_dependents":
                raise unknown_load_parameter(key)
        await self._control.unload(request.names["model"])
        return Response()


def _load_request(name: str, parameters: dict[str, str]) -> LoadRequest:
    files: dict[str, bytes] = {}
    for key, value in parameters.items():
        if key.startswith(FILE_PREFIX):
            files[key.removeprefix(FILE_PREFIX)] = _decoded(key, value)
        elif key != "config":
            raise unknown_load_parameter(key)
    return LoadRequest(name, parameters.get("config"), files)


def _decoded(key: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:  # binascii.Error is one; text that is no ASCII is another
        raise InvalidArgument(
            "PARAMETER_INVALID", f"parameter '{key}' is not base64 text: {error}"
        ) from None
