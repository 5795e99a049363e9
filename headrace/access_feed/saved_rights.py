"""The rights that were told last, in a private file: a process that starts while the registry is away has
them.

There are digests of keys in it and no key.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from google.protobuf.message import DecodeError

from headrace.conversion.access import (
    binding_from_proto,
    role_from_proto,
    watched_key_from_proto,
)
from headrace.registry.v1.access_service_pb2 import WatchRightsResponse
from headrace.security.access import Rights
from headrace.security.policy import Policy
from headrace.state.rights import binding_of, keys_of, role_of

logger = logging.getLogger(__name__)


def rights_in(message: WatchRightsResponse) -> Rights:
    """The rights that a message tells."""
    roles = (role_from_proto(role, check=False) for role in message.roles)
    bindings = (binding_from_proto(binding) for binding in message.bindings)
    return Rights(
        keys_of(map(watched_key_from_proto, message.keys)),
        Policy(
            {role.id: role_of(role) for role in roles},
            {binding.subject: binding_of(binding) for binding in bindings},
        ),
    )


def read_saved(file: Path) -> WatchRightsResponse | None:
    """The message that was kept; None where there is none that can be read, and a warning where it is
    damaged."""
    try:
        return WatchRightsResponse.FromString(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, DecodeError) as error:
        logger.warning("the kept rights cannot be read: %s", error, extra={"file": str(file)})
        return None


def save(file: Path, message: WatchRightsResponse) -> None:
    """Keep a message, 0600, in the place of the one before. A full disk is no reason to end what runs."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
        with os.fdopen(handle, "wb") as opened:
            opened.write(message.SerializeToString())
        Path(name).replace(file)
    except OSError as error:
        logger.warning("the rights cannot be kept: %s", error, extra={"file": str(file)})
