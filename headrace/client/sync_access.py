"""Access and audit for code without an event loop: every method waits for AsyncClient's.

Written by `make pages` from AsyncClient: change that.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.client.access_messages import Grants
from headrace.client.access_resources import (
    ApiKey,
    Binding,
    CallerInfo,
    CallLimits,
    NewApiKey,
    Role,
    Rule,
)
from headrace.client.async_client import AsyncClient
from headrace.client.audit import LoggedChange
from headrace.client.loop_thread import LoopThread


class BlockingAccessCalls:
    """API keys, roles, grants and the audit."""

    _async: AsyncClient
    _thread: LoopThread

    def create_api_key(
        self,
        subject: str,
        *,
        ttl_seconds: float | None = None,
        note: str = "",
        grants: Grants = (),
        timeout_seconds: float | None = None,
    ) -> NewApiKey:
        """Make an API key; its `secret` is told this once. `grants` has roles to grant with it.

        It is asked for once: where the answer got lost, there is a key that nobody knows, to be revoked.
        Raises ResourceExhausted (TOO_MANY_API_KEYS), NotFound (ROLE_NOT_FOUND), InvalidArgument.
        """
        return self._thread.run(
            self._async.create_api_key(
                subject,
                ttl_seconds=ttl_seconds,
                note=note,
                grants=grants,
                timeout_seconds=timeout_seconds,
            )
        )

    def api_keys(self, subject: str = "", *, timeout_seconds: float | None = None) -> list[ApiKey]:
        """All API keys, or those of a subject; those that have ended for up to 30 days."""
        return self._thread.run(self._async.api_keys(subject, timeout_seconds=timeout_seconds))

    def rotate_api_key(
        self,
        key_id: str,
        *,
        overlap_seconds: float | None = None,
        ttl_seconds: float | None = None,
        timeout_seconds: float | None = None,
    ) -> NewApiKey:
        """Make another key for a key's subject; the present one ends after the overlap (1 day).

        Raises NotFound, FailedPrecondition (API_KEY_ENDED), ResourceExhausted (TOO_MANY_API_KEYS).
        """
        return self._thread.run(
            self._async.rotate_api_key(
                key_id,
                overlap_seconds=overlap_seconds,
                ttl_seconds=ttl_seconds,
                timeout_seconds=timeout_seconds,
            )
        )

    def revoke_api_key(self, key_id: str, *, timeout_seconds: float | None = None) -> ApiKey:
        """Revoke an API key for ever. Raises NotFound."""
        return self._thread.run(self._async.revoke_api_key(key_id, timeout_seconds=timeout_seconds))

    def roles(self, *, timeout_seconds: float | None = None) -> list[Role]:
        """All roles, those that are built in first."""
        return self._thread.run(self._async.roles(timeout_seconds=timeout_seconds))

    def set_role(
        self,
        role: str,
        rules: Sequence[Rule],
        *,
        description: str = "",
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> Role:
        """Set all of a role, creating it if need be. Raises FailedPrecondition, Aborted,
        InvalidArgument."""
        return self._thread.run(
            self._async.set_role(
                role, rules, description=description, etag=etag, timeout_seconds=timeout_seconds
            )
        )

    def delete_role(
        self, role: str, *, etag: str = "", timeout_seconds: float | None = None
    ) -> None:
        """Delete a role. Raises NotFound, Aborted, FailedPrecondition (ROLE_IN_USE, ROLE_BUILT_IN)."""
        self._thread.run(self._async.delete_role(role, etag=etag, timeout_seconds=timeout_seconds))

    def bindings(self, subject: str = "", *, timeout_seconds: float | None = None) -> list[Binding]:
        """What all subjects have, or one of them."""
        return self._thread.run(self._async.bindings(subject, timeout_seconds=timeout_seconds))

    def set_binding(
        self,
        subject: str,
        grants: Grants,
        limits: CallLimits | None = None,
        *,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> Binding:
        """Set all that a subject has; nothing at all ends its binding.

        Raises NotFound (ROLE_NOT_FOUND), Aborted, FailedPrecondition (LAST_ADMIN), InvalidArgument.
        """
        return self._thread.run(
            self._async.set_binding(
                subject, grants, limits, etag=etag, timeout_seconds=timeout_seconds
            )
        )

    def grant_role(
        self,
        subject: str,
        role: str = "",
        models: Sequence[str] = (),
        *,
        limits: CallLimits | None = None,
        timeout_seconds: float | None = None,
    ) -> Binding:
        """Grant a role for models by patterns of their names (`*`: any text), or set limits, or both.

        Raises NotFound (ROLE_NOT_FOUND), InvalidArgument.
        """
        return self._thread.run(
            self._async.grant_role(
                subject, role, models, limits=limits, timeout_seconds=timeout_seconds
            )
        )

    def revoke_role(
        self, subject: str, role: str, *, timeout_seconds: float | None = None
    ) -> Binding:
        """Take a role from a subject. Raises NotFound, FailedPrecondition (LAST_ADMIN)."""
        return self._thread.run(
            self._async.revoke_role(subject, role, timeout_seconds=timeout_seconds)
        )

    def caller(self, *, timeout_seconds: float | None = None) -> CallerInfo:
        """Who this client is to the registry, and what it may do. Raises Unauthenticated."""
        return self._thread.run(self._async.caller(timeout_seconds=timeout_seconds))

    def audit(
        self,
        *,
        model: str = "",
        actor: str = "",
        kind: str = "",
        since: float | None = None,
        until: float | None = None,
        limit: int = 100,
        oldest_first: bool = False,
        with_stored: bool = False,
        timeout_seconds: float | None = None,
    ) -> list[LoggedChange]:
        """The changes that are kept, newest first: of one model to who may read it, of all to admins.

        `kind` is `route.update`, or `route` for all that was done to routes; `since` and `until` are in
        seconds since the Unix epoch. At most `limit` come, 0 for all that are kept. `with_stored` adds each
        entry as it is stored, where no model is named.
        """
        return self._thread.run(
            self._async.audit(
                model=model,
                actor=actor,
                kind=kind,
                since=since,
                until=until,
                limit=limit,
                oldest_first=oldest_first,
                with_stored=with_stored,
                timeout_seconds=timeout_seconds,
            )
        )

    def newest_change(self, *, timeout_seconds: float | None = None) -> tuple[int, str]:
        """The revision and the hash of the newest change, as the state says; (0, '') before the first."""
        return self._thread.run(self._async.newest_change(timeout_seconds=timeout_seconds))
