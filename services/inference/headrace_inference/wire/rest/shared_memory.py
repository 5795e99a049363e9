"""The routes of shared memory: which regions there are, and making them known."""

from __future__ import annotations

import base64

import msgspec

from headrace.errors import InvalidArgument
from headrace.service.http.answers import Response, json_response
from headrace.service.http.requests import Body, Request
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.wire.codec import messages
from headrace_inference.wire.rest.exchanges import RestApp
from headrace_inference.wire.rest.protobuf_json import message_to_json
from headrace_inference.wire.rest.requests import Size, decode_json
from headrace_inference.wire.server_control import ServerControl


class SystemRegion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of the system's shared memory, by the key it was created under."""

    key: str
    byte_size: Size
    offset: Size = 0


class DeviceHandle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A handle that CUDA gave for another process, as base64."""

    b64: str


class DeviceRegion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device's memory."""

    raw_handle: DeviceHandle
    device_id: int
    byte_size: Size


_SYSTEM_REGION = msgspec.json.Decoder(SystemRegion)
_DEVICE_REGION = msgspec.json.Decoder(DeviceRegion)


def add_memory_routes(app: RestApp, regions: RegionTable, control: ServerControl) -> None:
    """Add the routes of both kinds of shared memory to an app."""
    routes = MemoryRoutes(regions, control)
    for kind, status, register, unregister in (
        ("system", routes.system_status, routes.register_system, routes.unregister_system),
        ("cuda", routes.device_status, routes.register_device, routes.unregister_device),
    ):
        prefix = f"/v2/{kind}sharedmemory"
        app.add_with_body("POST", f"{prefix}/region/{{region}}/register", register)
        for path in (prefix, f"{prefix}/region/{{region}}"):
            app.add("GET", f"{path}/status", status)
            app.add("POST", f"{path}/unregister", unregister)


class MemoryRoutes:
    """Decode, call, encode."""

    def __init__(self, regions: RegionTable, control: ServerControl) -> None:
        self._regions = regions
        self._control = control

    async def system_status(self, request: Request) -> Response:
        """Return which regions of the system's memory are registered."""
        response = messages.system_regions(self._regions.status(_region(request)))
        return json_response([message_to_json(each) for each in response.regions.values()])

    async def register_system(self, request: Request, body: Body) -> Response:
        """Make a region known."""
        system = decode_json(_SYSTEM_REGION, body)
        name, size = _region(request), system.byte_size
        await self._control.register_system(name, system.key, system.offset, size)
        return Response()

    async def unregister_system(self, request: Request) -> Response:
        """Forget a region, or all."""
        await self._control.unregister(_region(request))
        return Response()

    async def device_status(self, request: Request) -> Response:
        """Return which regions of devices' memory are registered."""
        response = messages.device_regions(self._regions.status(_region(request), device=True))
        return json_response([message_to_json(each) for each in response.regions.values()])

    async def register_device(self, request: Request, body: Body) -> Response:
        """Make a device's memory known."""
        device = decode_json(_DEVICE_REGION, body)
        handle = _handle(device.raw_handle.b64)
        name, size = _region(request), device.byte_size
        await self._control.register_device(name, handle, device.device_id, size)
        return Response()

    async def unregister_device(self, request: Request) -> Response:
        """Forget a device's memory, or all."""
        await self._control.unregister(_region(request), device=True)
        return Response()


def _region(request: Request) -> str:
    """The region in a path, '' where it has none."""
    return request.names.get("region", "")


def _handle(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:  # binascii.Error is one; text that is no ASCII is another
        raise InvalidArgument(
            "MALFORMED_REQUEST", f"raw_handle.b64 is not base64 text: {error}"
        ) from None
