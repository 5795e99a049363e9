"""Where notifications go, as a file of rules has it. Secrets are in files of their own, never in rules."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import msgspec

from headrace.alert_rules.durations import seconds_of
from headrace.alert_rules.rules import Severity


class Receiver(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"
):
    """What all receivers have."""

    name: str
    least: Severity = "info"
    """Alerts below this severity are not sent."""
    repeat: str = "4h"
    """What still fires and nobody looks after is told again so often."""

    @property
    def kind(self) -> str:
        """What it is."""
        return str(type(self).__struct_config__.tag)

    @property
    def repeat_seconds(self) -> float:
        """What still fires is told again so often."""
        return seconds_of(self.repeat)

    @property
    def address(self) -> str:
        """Where it is, for people: without passwords, keys and paths that are secrets."""
        return ""

    def secrets(self) -> dict[str, str]:
        """The names of files of secrets by key."""
        return {}

    def urls(self) -> dict[str, str]:
        """Its addresses by key."""
        return {}


class Log(Receiver, tag="log", frozen=True, kw_only=True):
    """The monitor's own log."""


class Webhook(Receiver, tag="webhook", frozen=True, kw_only=True):
    """JSON is posted to an address, signed where there is a secret."""

    url: str
    secret_file: str = ""
    """A file in the monitor's folder of secrets, with which notifications are signed."""
    token_file: str = ""
    """The same, with a token for the header Authorization."""
    ca_file: str = ""
    """The same, with the authorities to trust; without one the system's are."""
    timeout: str = "10s"

    @property
    def address(self) -> str:
        """Its address without what may be a secret."""
        return public_url(self.url)

    def secrets(self) -> dict[str, str]:
        """The names of files of secrets by key."""
        return {
            "secret_file": self.secret_file,
            "token_file": self.token_file,
            "ca_file": self.ca_file,
        }

    def urls(self) -> dict[str, str]:
        """Its addresses by key."""
        return {"url": self.url}


class Alertmanager(Webhook, tag="alertmanager", frozen=True, kw_only=True):
    """An Alertmanager of Prometheus, by its API v2; `url` is its root."""

    repeat: str = "1m"


class Apprise(Receiver, tag="apprise", frozen=True, kw_only=True):
    """A service of notification that apprise knows: mail, chats, pagers."""

    url_file: str
    """A file in the monitor's folder of secrets, with apprise's URLs, a line each."""

    @property
    def address(self) -> str:
        """The file, as the URLs are secrets."""
        return self.url_file

    def secrets(self) -> dict[str, str]:
        """The names of files of secrets by key."""
        return {"url_file": self.url_file}


AnyReceiver = Log | Webhook | Alertmanager | Apprise


def public_url(url: str) -> str:
    """Return scheme, host and port of a URL: the rest may hold a key."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    host = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, host + port, "/…" if parts.path.strip("/") else "", "", ""))
