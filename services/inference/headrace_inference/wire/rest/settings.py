"""The routes that change what is traced and logged while the replica runs."""

from __future__ import annotations

import msgspec
from aiohttp import web

from headrace_inference.wire.rest.body import read_body
from headrace_inference.wire.rest.errors import json_response
from headrace_inference.wire.rest.requests import decode_json
from headrace_inference.wire.server_control import ServerControl

LogChanges = dict[str, bool | int | str | None]
"""Settings by name."""

TraceChanges = dict[str, str | int | list[str] | None]
"""Settings by name; null takes one back."""

_LOG_CHANGES = msgspec.json.Decoder(LogChanges)
_TRACE_CHANGES = msgspec.json.Decoder(TraceChanges)

_LISTS = ("trace_level",)
"""Settings that are lists in JSON; all others are single texts."""


def add_settings_routes(app: web.Application, control: ServerControl, max_body_bytes: int) -> None:
    """Add the routes of trace and log settings to an app."""
    routes = SettingsRoutes(control, max_body_bytes)
    app.router.add_get("/v2/logging", routes.log_settings)
    app.router.add_post("/v2/logging", routes.change_log_settings)
    for path in ("/v2/trace/setting", "/v2/models/{model}/trace/setting"):
        app.router.add_get(path, routes.trace_settings)
        app.router.add_post(path, routes.change_trace_settings)


class SettingsRoutes:
    """Decode, call, encode."""

    def __init__(self, control: ServerControl, max_body_bytes: int) -> None:
        self._control = control
        self._max_body_bytes = max_body_bytes

    async def log_settings(self, request: web.Request) -> web.Response:
        """Return which log records are made."""
        return json_response(await self._control.log({}))

    async def change_log_settings(self, request: web.Request) -> web.Response:
        """Change which log records are made."""
        changes = decode_json(_LOG_CHANGES, await read_body(request, self._max_body_bytes))
        return json_response(await self._control.log(changes))

    async def trace_settings(self, request: web.Request) -> web.Response:
        """Return which requests are traced."""
        return _traces(await self._control.trace(_model(request), {}))

    async def change_trace_settings(self, request: web.Request) -> web.Response:
        """Change which requests are traced."""
        body = await read_body(request, self._max_body_bytes)
        changes = {key: _values(value) for key, value in decode_json(_TRACE_CHANGES, body).items()}
        return _traces(await self._control.trace(_model(request), changes))


def _model(request: web.Request) -> str:
    """The model in a path, '' where it has none."""
    return request.match_info.get("model", "")


def _values(value: str | int | list[str] | None) -> list[str]:
    """A setting's values; null takes it back."""
    if value is None:
        return []
    return value if isinstance(value, list) else [str(value)]


def _traces(settings: dict[str, list[str]]) -> web.Response:
    shown: dict[str, object] = {
        key: values if key in _LISTS else values[0] for key, values in settings.items()
    }
    return json_response(shown)
