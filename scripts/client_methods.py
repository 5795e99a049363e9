"""Write the table of methods in headrace/client/methods.py from the protos; --check: only compare.

It stands below MARK. A method of a service is there without further work, so that a new one costs the
client only what it does with it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor import Descriptor

from headrace.inference import grpc_service_pb2
from headrace.inference.v1 import generation_service_pb2
from headrace.monitor.v1 import (
    alert_service_pb2,
    drift_service_pb2,
    monitor_service_pb2,
    profile_service_pb2,
    quality_service_pb2,
)
from headrace.registry.v1 import (
    access_service_pb2,
    annotation_service_pb2,
    reference_service_pb2,
    registry_service_pb2,
)

FILE = Path(__file__).parents[1] / "headrace" / "client" / "methods.py"
MARK = "# All methods of the services, written by `make pages` from the protos.\n"
SERVICES = {
    "_REGISTRY": registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"],
    "_ACCESS": access_service_pb2.DESCRIPTOR.services_by_name["AccessService"],
    "_REFERENCES": reference_service_pb2.DESCRIPTOR.services_by_name["ReferenceService"],
    "_ANNOTATIONS": annotation_service_pb2.DESCRIPTOR.services_by_name["AnnotationService"],
    "_MONITOR": monitor_service_pb2.DESCRIPTOR.services_by_name["MonitorService"],
    "_DRIFT": drift_service_pb2.DESCRIPTOR.services_by_name["DriftService"],
    "_QUALITY": quality_service_pb2.DESCRIPTOR.services_by_name["QualityService"],
    "_ALERTS": alert_service_pb2.DESCRIPTOR.services_by_name["AlertService"],
    "_PROFILES": profile_service_pb2.DESCRIPTOR.services_by_name["ProfileService"],
    "_INFERENCE": grpc_service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"],
    "_GENERATION": generation_service_pb2.DESCRIPTOR.services_by_name["GenerationService"],
}
MODULES = {
    "registry_service": "registry",
    "access_service": "access",
    "reference_service": "references",
    "annotation_service": "annotating",
    "monitor_service": "monitor",
    "drift_service": "drift",
    "quality_service": "quality",
    "alert_service": "alerts",
    "profile_service": "profiles",
    "grpc_service": "inference",
    "generation_service": "generation",
}
"""The names in methods.py of the services' own modules of messages; others are called `…_pb2`."""


def main(arguments: list[str]) -> int:
    """Write the table anew, or with --check say by the exit status whether it is fresh."""
    found = FILE.read_text(encoding="utf-8")
    fresh = _formatted(found.partition(MARK)[0] + MARK + "".join(_table()))
    if found == fresh:
        return 0
    if "--check" in arguments:
        print(f"{FILE} is stale: run make pages", file=sys.stderr)
        return 1
    FILE.write_text(fresh, encoding="utf-8")
    return 0


def _table() -> Iterator[str]:
    for service, descriptor in SERVICES.items():
        yield "\n"
        for method in descriptor.methods:
            constant = re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).upper()
            messages = f"{_message(method.input_type)}, {_message(method.output_type)}"
            yield f'{constant} = _method({service}, "{method.name}", {messages})\n'


def _message(message: Descriptor) -> str:
    module = Path(message.file.name).stem
    return f"{MODULES.get(module, f'{module}_pb2')}.{message.name}"


def _formatted(source: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--stdin-filename", FILE, "-"],
        input=source, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
