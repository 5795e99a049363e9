"""TLS at the edge and to the services, from secrets that are read again when their files change."""

from __future__ import annotations

from headrace.gateway.config.messages import Message, extension
from headrace.gateway.config.places import CALLERS, OWN, SERVER, SERVICES, Places
from headrace.gateway.settings import Settings

_CONTEXTS = "extensions.transport_sockets.tls.v3."
_OLDEST = {"tls_minimum_protocol_version": "TLSv1_2"}
_HANDSHAKE_SECONDS = 10


def edge_transport(settings: Settings, places: Places) -> dict[str, object]:
    """TLS to callers, as parts of a filter chain; nothing where the gateway serves plain."""
    if not settings.serves_tls:
        return {}
    common: dict[str, object] = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": _OLDEST,
        "tls_certificate_sds_secret_configs": [_secret(SERVER, places)],
    }
    if settings.tls_client_auth != "off":
        common["validation_context_sds_secret_config"] = _secret(CALLERS, places)
    required = settings.tls_client_auth == "required"
    context = extension(
        "envoy.transport_sockets.tls",
        f"{_CONTEXTS}DownstreamTlsContext",
        common_tls_context=common,
        require_client_certificate=required,
    )
    return {
        "transport_socket": context,
        "transport_socket_connect_timeout": f"{_HANDSHAKE_SECONDS}s",
    }


def service_transport(settings: Settings, places: Places, alpn: str) -> Message | None:
    """TLS to a service, which must show a certificate that is expected; None where it is plain."""
    if settings.peer_tls_ca is None:
        return None
    common: dict[str, object] = {
        "alpn_protocols": [alpn],
        "tls_params": _OLDEST,
        "combined_validation_context": {
            "default_validation_context": {
                "match_typed_subject_alt_names": _names(settings.peer_tls_name)
            },
            "validation_context_sds_secret_config": _secret(SERVICES, places),
        },
    }
    if settings.peer_tls_cert is not None:
        common["tls_certificate_sds_secret_configs"] = [_secret(OWN, places)]
    return extension(
        "envoy.transport_sockets.tls", f"{_CONTEXTS}UpstreamTlsContext", common_tls_context=common
    )


def plain_transport() -> Message:
    """No TLS."""
    return extension(
        "envoy.transport_sockets.raw_buffer", "extensions.transport_sockets.raw_buffer.v3.RawBuffer"
    )


def _secret(name: str, places: Places) -> Message:
    source = {
        "path": str(places.secret_file(name)),
        "watched_directory": {"path": str(places.secrets)},
    }
    return {
        "name": name,
        "sds_config": {"path_config_source": source, "resource_api_version": "V3"},
    }


def _names(name: str) -> list[Message]:
    """The name that a service's certificate must have; without one every certificate of the CA will do."""
    return [{"san_type": "DNS", "matcher": {"exact": name}}] if name else []
