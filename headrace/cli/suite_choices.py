"""Groups of the options of commands that run a suite, and the parts of a suite that they ask for."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from headrace.cli import suite_options as options

if TYPE_CHECKING:
    from headrace.local.gateway_child import GatewayOptions
    from headrace.local.suite_access import SuiteAccess
    from headrace.local.suite_tls import SuiteTls
    from headrace.state.redis_server import RedisServer


@dataclass(frozen=True, slots=True)
class RedisChoice:
    """The server of the shared state; without a URL, the suite has its own."""

    redis_url: options.RedisUrl = None
    redis_user_file: options.RedisUserFile = None
    redis_password_file: options.RedisPasswordFile = None
    redis_tls_ca: options.RedisTlsCa = None
    redis_tls_cert: options.RedisTlsCert = None
    redis_tls_key: options.RedisTlsKey = None

    def server(self) -> RedisServer | None:
        """The server that is given, if there is one. Raises typer.BadParameter."""
        from headrace.state.redis_server import RedisServer

        if not self.redis_url:
            return None
        server = RedisServer(
            self.redis_url,
            self.redis_user_file,
            self.redis_password_file,
            self.redis_tls_ca,
            self.redis_tls_cert,
            self.redis_tls_key,
        )
        if wrong := "; ".join(server.problems()):
            raise typer.BadParameter(wrong)
        return server


@dataclass(frozen=True, slots=True)
class PortChoice:
    """The ports of a suite's services."""

    registry_port: options.RegistryPort = None
    registry_http_port: options.RegistryHttpPort = None
    inference_port: options.InferencePort = None
    inference_http_port: options.InferenceHttpPort = None
    inference_metrics_port: options.InferenceMetricsPort = None
    monitor_port: options.MonitorPort = None
    monitor_http_port: options.MonitorHttpPort = None

    def chosen(self, otherwise: int | None) -> dict[str, int]:
        """The ports that are given; those that are not are `otherwise`, or left out for their defaults."""
        given = asdict(self).items()
        chosen = {name: otherwise if port is None else port for name, port in given}
        return {name: port for name, port in chosen.items() if port is not None}


@dataclass(frozen=True, slots=True)
class TlsChoice:
    """The certificates of a suite's ports."""

    tls_cert: options.TlsCert = None
    tls_key: options.TlsKey = None
    tls_ca: options.TlsCa = None
    tls_client_ca: options.TlsClientCa = None
    tls_client_auth: options.TlsClientAuth = "off"

    def tls(self) -> SuiteTls | None:
        """The TLS of a suite, None without a certificate. Raises BadParameter for files that do not fit."""
        from headrace.local.suite_tls import SuiteTls

        self._check()
        if self.tls_cert is None or self.tls_key is None:
            return None
        return SuiteTls(
            self.tls_cert.absolute(),
            self.tls_key.absolute(),
            self.tls_ca and self.tls_ca.absolute(),
            self.tls_client_ca and self.tls_client_ca.absolute(),
            self.tls_client_auth,
        )

    def _check(self) -> None:
        from headrace.tls.settings import ServerTlsSettings

        given = ServerTlsSettings(
            tls_cert=self.tls_cert,
            tls_key=self.tls_key,
            tls_client_ca=self.tls_client_ca,
            tls_client_auth=self.tls_client_auth,
        )
        wrong = list(given.tls_problems())
        if self.tls_ca is not None and self.tls_cert is None:
            wrong.append("--tls-ca is for a suite with --tls-cert and --tls-key")
        if wrong:
            raise typer.BadParameter("; ".join(wrong))


@dataclass(frozen=True, slots=True)
class GatewayChoice:
    """The gateway of a suite."""

    gateway: options.Gateway = False
    gateway_port: options.GatewayPort = None
    gateway_settings: options.GatewaySettings = None

    def options(self, every_port: int | None) -> GatewayOptions | None:
        """The gateway that is asked for, if one is.

        Raises FailedPrecondition (NO_ENVOY) before anything is started.
        """
        if not self.gateway:
            return None
        from headrace.gateway.binary import find_envoy
        from headrace.local.gateway_child import HTTP_PORT, GatewayOptions

        if self.gateway_settings is None:  # it may name an Envoy
            named = os.environ.get("HEADRACE_GATEWAY_ENVOY")
            find_envoy(Path(named) if named else None)
        own = int(os.environ.get("HEADRACE_GATEWAY_HTTP_PORT") or HTTP_PORT)
        return GatewayOptions(
            port=every_port if self.gateway_port is None else self.gateway_port,
            http_port=own if every_port is None else every_port,
            settings_file=self.gateway_settings and self.gateway_settings.absolute(),
        )


@dataclass(frozen=True, slots=True)
class AccessChoice:
    """Identity and permissions in a suite."""

    auth: options.Auth = False
    identity_file: options.IdentityFile = None
    admin_key_file: options.AdminKeyFile = None

    def access(self) -> SuiteAccess | None:
        """The identity and permissions that are asked for; None where everybody may do everything."""
        from headrace.local.suite_access import SuiteAccess

        if self.auth:
            files = self.identity_file, self.admin_key_file
            return SuiteAccess(*(file and file.absolute() for file in files))
        if self.identity_file or self.admin_key_file:
            raise typer.BadParameter("--identity-file and --admin-key-file go with --auth")
        return None
