"""Sends a notification to a receiver of any kind, in a thread. Secrets are read anew each time."""

from __future__ import annotations

import hashlib
import hmac
import importlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from headrace.alert_rules.durations import seconds_of
from headrace.alert_rules.receivers import Alertmanager, AnyReceiver, Apprise, Log, Webhook
from headrace.security.regular_files import read_regular_file
from headrace_monitor.adapters.notify import payloads
from headrace_monitor.adapters.notify.posting import Connections, NotSentError, Target, post
from headrace_monitor.domain.alerts.notifications import Notification
from headrace_monitor.domain.telemetry.report import NANOSECONDS

logger = logging.getLogger(__name__)

SIGNATURE, TIMESTAMP, NOTIFICATION = (
    "Headrace-Signature",
    "Headrace-Timestamp",
    "Headrace-Notification",
)
_MAX_SECRET_BYTES = 64 * 1024
_NO_FOLDER = "the monitor has no folder of secrets: start it with --alert-secrets"


def signature_of(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return what a webhook's header says: over the time and the body, so that neither can be another."""
    digest = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"v1={digest}"


@dataclass(frozen=True, slots=True)
class Senders:
    """What it takes to send: the folder of secrets, and the console's address for links."""

    secrets: Path | None
    console_url: str = ""
    connections: Connections = field(default_factory=Connections)

    def send(self, receiver: AnyReceiver, notification: Notification, now_ns: int) -> None:
        """Send it, and return once it was taken. Raises NotSentError."""
        match receiver:
            case Alertmanager():
                document = payloads.alertmanager_json(notification, now_ns, self.console_url)
                path = f"{receiver.url.rstrip('/')}/api/v2/alerts"
                self._post(receiver, path, orjson.dumps(document), {}, now_ns)
            case Webhook():
                found = payloads.webhook_json(notification, now_ns, self.console_url)
                more = {NOTIFICATION: notification.id}
                self._post(receiver, receiver.url, orjson.dumps(found), more, now_ns)
            case Apprise():
                self._tell_apprise(receiver, notification)
            case Log():
                _log(notification)

    def _post(
        self,
        receiver: Webhook,
        url: str,
        body: bytes,
        more: Mapping[str, str],
        now_ns: int,
    ) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "headrace-monitor", **more}
        if receiver.token_file:
            headers["Authorization"] = (
                f"Bearer {self._secret(receiver.token_file).decode('latin-1')}"
            )
        if receiver.secret_file:
            timestamp = str(now_ns // NANOSECONDS)
            headers[TIMESTAMP] = timestamp
            secret = self._secret(receiver.secret_file)
            headers[SIGNATURE] = signature_of(secret, timestamp, body)
        ca = self._path(receiver.ca_file) if receiver.ca_file else None
        target = Target(url, seconds_of(receiver.timeout), ca)
        post(target, body, headers, self.connections)

    def _tell_apprise(self, receiver: Apprise, notification: Notification) -> None:
        try:
            apprise = importlib.import_module("apprise")
        except ImportError as error:
            raise NotSentError(
                "apprise is not installed: pip install 'headrace[notify]'"
            ) from error
        urls = self._secret(receiver.url_file).decode(errors="replace").splitlines()
        try:
            _tell(apprise.Apprise(), urls, receiver.url_file, notification, self.console_url)
        except NotSentError:
            raise
        except Exception as error:  # of a hundred plugins of others none ends the monitor
            raise NotSentError(f"apprise failed: {type(error).__name__}: {error}"[:300]) from error

    def _path(self, name: str) -> Path:
        if self.secrets is None:
            raise NotSentError(_NO_FOLDER)
        return self.secrets / name

    def _secret(self, name: str) -> bytes:
        try:
            found = read_regular_file(self._path(name), _MAX_SECRET_BYTES).strip()
        except OSError as error:
            raise NotSentError(f"the secret {name} cannot be read: {error.strerror}") from error
        if not found:
            raise NotSentError(f"the secret {name} is empty")
        return found


def _tell(
    told: Any, urls: Iterable[str], file: str, notification: Notification, console_url: str
) -> None:
    for url in filter(None, map(str.strip, urls)):
        if not told.add(url):
            raise NotSentError(f"a line of {file} is no URL that apprise knows")
    if not told.notify(
        title=payloads.title(notification), body=payloads.text(notification, console_url)
    ):
        raise NotSentError("apprise could not deliver it to all of its services")


def _log(notification: Notification) -> None:
    for alert in notification.alerts:
        logger.warning(
            "alert %s: %s",
            alert.state.value,
            alert.summary,
            extra={
                "rule": alert.rule,
                "severity": alert.severity,
                "alert": alert.id,
                "look_at": alert.look_at,
            },
        )
