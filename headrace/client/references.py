"""References of versions, as a client of the registry sets and reads them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from headrace.client import methods
from headrace.client.catalog import CatalogCalls
from headrace.client.reference_messages import enforcement_to_proto, reference_from_proto
from headrace.client.reference_resources import VersionReference
from headrace.conversion.times import seconds_to_proto
from headrace.monitor.v1.profile_service_pb2 import QueryProfilesRequest
from headrace.registry.v1 import reference_service_pb2 as pb
from headrace.resource_names import reference_resource, version_resource


class ReferenceCalls(CatalogCalls):
    """How the data of versions looked when all was well, and what is enforced of it."""

    async def reference(
        self, model: str, version: int | str, *, timeout_seconds: float | None = None
    ) -> VersionReference:
        """The reference of a version, by its number or an alias. Raises NotFound."""
        number = await self.resolve(model, version, timeout_seconds=timeout_seconds)
        request = pb.GetReferenceRequest(name=reference_resource(model, number))
        found = await self._ask_registry(methods.GET_REFERENCE, request, timeout_seconds)
        return reference_from_proto(found)

    async def set_reference(
        self,
        model: str,
        version: int | str,
        samples: Mapping[str, Any],
        *,
        origin: str = "",
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> VersionReference:
        """Make the reference of a version of samples: arrays with the rows first, by tensor or column.

        `x` is an input or output, `x[3]` a column of it; columns with other names are those of the only
        input. Raises InvalidArgument (SAMPLES_INVALID) for others, NotFound, Aborted, ResourceExhausted.
        """
        from headrace.client.samples import fitted
        from headrace.conversion.data_profiles import reference_to_proto
        from headrace.data_profiles.learning import reference_of
        from headrace.data_profiles.observed_rows import observed_fields

        number = await self.resolve(model, version, timeout_seconds=timeout_seconds)
        found = await self.version(model, number, timeout_seconds=timeout_seconds)
        inputs, outputs = fitted(samples, found.signature)
        rows = len(next(iter((inputs or outputs).values())))
        made = reference_of(
            observed_fields(inputs, outputs), rows, origin=origin, created_at=time.time()
        )
        request = pb.SetReferenceRequest(
            parent=version_resource(model, number), reference=reference_to_proto(made), etag=etag
        )
        return reference_from_proto(
            await self._change(methods.SET_REFERENCE, request, timeout_seconds)
        )

    async def reference_from_traffic(
        self,
        model: str,
        version: int | str,
        window_seconds: float,
        *,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> VersionReference:
        """Make the reference of a version of what the monitor counted of it lately.

        Raises InvalidArgument (SAMPLES_INVALID) where it counted no rows, NotFound, Aborted.
        """
        from headrace.client.traffic_samples import reference_of_answer

        number = await self.resolve(model, version, timeout_seconds=timeout_seconds)
        asked = QueryProfilesRequest(
            model=model, version=number, window=seconds_to_proto(window_seconds)
        )
        found = await self._calls.unary(
            "monitor", methods.QUERY_PROFILES, asked, timeout_seconds=timeout_seconds
        )
        request = pb.SetReferenceRequest(
            parent=version_resource(model, number),
            reference=reference_of_answer(found, time.time()),
            etag=etag,
        )
        return reference_from_proto(
            await self._change(methods.SET_REFERENCE, request, timeout_seconds)
        )

    async def copy_reference(
        self,
        model: str,
        version: int | str,
        from_version: int | str,
        *,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> VersionReference:
        """Give a version the reference of another, and what is enforced of it. Raises NotFound, Aborted."""
        number = await self.resolve(model, version, timeout_seconds=timeout_seconds)
        other = await self.resolve(model, from_version, timeout_seconds=timeout_seconds)
        request = pb.SetReferenceRequest(
            parent=version_resource(model, number), from_version=other, etag=etag
        )
        return reference_from_proto(
            await self._change(methods.SET_REFERENCE, request, timeout_seconds)
        )

    async def enforce(
        self,
        model: str,
        version: int | str,
        fields: Mapping[str, str],
        *,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> VersionReference:
        """Say what is done with rows that differ, by field: `count`, `flag` or `reject`.

        Raises NotFound, Aborted, InvalidArgument (ENFORCEMENT_INVALID).
        """
        number = await self.resolve(model, version, timeout_seconds=timeout_seconds)
        request = pb.UpdateEnforcementRequest(
            name=reference_resource(model, number), fields=enforcement_to_proto(fields), etag=etag
        )
        return reference_from_proto(
            await self._change(methods.UPDATE_ENFORCEMENT, request, timeout_seconds)
        )

    async def delete_reference(
        self,
        model: str,
        version: int | str,
        *,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> None:
        """Delete the reference of a version. Raises NotFound, Aborted."""
        number = await self.resolve(model, version, timeout_seconds=timeout_seconds)
        request = pb.DeleteReferenceRequest(name=reference_resource(model, number), etag=etag)
        await self._change(methods.DELETE_REFERENCE, request, timeout_seconds)
