"""All that one Envoy is started with."""

from __future__ import annotations

import json

from headrace.gateway.config.clusters import clusters
from headrace.gateway.config.listener import connection_limit, listener
from headrace.gateway.config.messages import Message
from headrace.gateway.config.places import Places
from headrace.gateway.settings import Settings


def bootstrap(settings: Settings, places: Places, epoch: int) -> Message:
    """The configuration of the Envoy that is the `epoch`th to listen at this gateway's address."""
    return {
        "node": {"id": f"headrace-gateway-{epoch}", "cluster": "headrace"},
        # A port would be open to everybody on the machine, who could end Envoy and read what it has.
        "admin": {
            "address": {"pipe": {"path": str(places.admin_socket(epoch)), "mode": 0o600}},
            "ignore_global_conn_limit": True,
        },
        "static_resources": {
            "listeners": [listener(settings, places)],
            "clusters": clusters(settings, places),
        },
        "overload_manager": {
            "refresh_interval": "0.25s",
            "resource_monitors": [connection_limit(settings)],
        },
        **_log_form(settings),
    }


def as_text(message: Message) -> str:
    """A message as Envoy reads it from a file."""
    return json.dumps(message, indent=1) + "\n"


def _log_form(settings: Settings) -> dict[str, object]:
    if settings.log_format != "json":
        return {}
    fields = {"time": "%Y-%m-%dT%T.%e", "level": "%l", "logger": "envoy.%n", "message": "%j"}
    return {"application_log_config": {"log_format": {"json_format": fields}}}
