"""The routes that change what is traced and logged while the replica runs."""

from __future__ import annotations

import msgspec

from headrace.service.http.answers import Response, json_response
from headrace.service.http.requests import Body, Request
from headrace_inference.wire.rest.exchanges import RestApp
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


def add_settings_routes(app: RestApp, control: ServerControl) -> None:
    """Add the routes of trace and log settings to an app."""
    routes = SettingsRoutes(control)
    app.add("GET", "/v2/logging", routes.log_settings)
    app.add_with_body("POST", "/v2/logging", routes.change_log_settings)
    for path in ("/v2/trace/setting", "/v2/models/{model}/trace/setting"):
        app.add("GET", path, routes.trace_settings)
        app.add_with_body("POST", path, routes.change_trace_settings)


class SettingsRoutes:
    """Decode, call, encode."""

    def __init__(self, control: ServerControl) -> None:
        self._control = control

    async def log_settings(self, request: Request) -> Response:
        """Return which log records are made."""
        return json_response(await self._control.log({}))

    async def change_log_settings(self, request: Request, body: Body) -> Response:
        """Change which log records are made."""
        changes = decode_json(_LOG_CHANGES, body)
        return json_response(await self._control.log(changes))

    async def trace_settings(self, request: Request) -> Response:
        """Return which requests are traced."""
        return _traces(await self._control.trace(_model(request), {}))

    async def change_trace_settings(self, request: Request, body: Body) -> Response:
        """Change which requests are traced."""
        changes = {key: _values(value) for key, value in decode_json(_TRACE_CHANGES, body).items()}
        return _traces(await self._control.trace(_model(request), changes))


def _model(request: Request) -> str:
    """The model in a path, '' where it has none."""
    return request.names.get("model", "")


def _values(value: str | int | list[str] | None) -> list[str]:
    """A setting's values; null takes it back."""
    if value is None:
        return []
    return value if isinstance(value, list) else [str(value)]


def _traces(settings: dict[str, list[str]]) -> Response:
    shown: dict[str, object] = {
        key: values if key in _LISTS else values[0] for key, values in settings.items()
    }
    return json_response(shown)
