"""The places of what the gateway and Envoy share: files, and names of what they describe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

GRPC_REPLICAS, REST_REPLICAS = "replicas-grpc", "replicas-rest"
REGISTRY, MONITOR, DASHBOARD, COLLECTOR = "registry", "monitor-grpc", "monitor-http", "otlp"
SERVER, CALLERS, OWN, SERVICES = "server", "callers", "own", "services"
"""Secrets: the certificate that callers see and the authorities of theirs, the one that services see and
the authorities of theirs."""


@dataclass(frozen=True, slots=True)
class Places:
    """The gateway's files: `data` lasts, `private` has the sockets and is gone with the process."""

    data: Path
    private: Path

    @property
    def endpoints(self) -> Path:
        """The folder of the replicas' addresses, a file for each cluster."""
        return self.data / "endpoints"

    @property
    def secrets(self) -> Path:
        """The folder of certificates and keys as Envoy reads them."""
        return self.private / "secrets"

    def endpoint_file(self, cluster: str) -> Path:
        """The file of the addresses of one cluster."""
        return self.endpoints / f"{cluster}.json"

    def secret_file(self, name: str) -> Path:
        """The file of one secret."""
        return self.secrets / f"{name}.json"

    def admin_socket(self, epoch: int) -> Path:
        """The socket by which one Envoy is controlled."""
        return self.private / f"admin-{epoch}.sock"

    def config_file(self, epoch: int) -> Path:
        """The configuration of one Envoy."""
        return self.private / f"envoy-{epoch}.json"
