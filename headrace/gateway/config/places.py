"""The places of what the gateway and Envoy share: files, and names of what they describe."""

from __future__ import annotations

import hashlib
import os
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

    @property
    def base_id(self) -> int:
        """The number by which the Envoys of this gateway know one another; another gateway has another."""
        whose = f"{os.getuid()} {self.data.absolute()}"
        return int(hashlib.sha256(whose.encode()).hexdigest()[:7], 16) >> 1

    @property
    def shared_memory(self) -> Path:
        """The memory that they share, on Linux."""
        return Path("/dev/shm") / f"envoy_shared_memory_{self.base_id}0"  # noqa: S108

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
