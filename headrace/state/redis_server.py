"""Where the shared state's server is, and who this process is there; needs no client library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from headrace.addresses import is_local, join
from headrace.state.redis_url import split_credentials, without_password

_TLS = ("tls_ca", "tls_cert", "tls_key")


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A server and what it is called with. The files are read at each connection, so they may change."""

    url: str
    """redis://, rediss:// (TLS) or unix://; it may name the user, and should not have a password."""
    user_file: Path | None = None
    password_file: Path | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @property
    def address(self) -> str:
        """The URL as people may see it."""
        return without_password(self.url)

    @property
    def has_password_in_url(self) -> bool:
        """Return whether the URL holds a secret."""
        return split_credentials(self.url)[2] is not None

    def credentials(self) -> tuple[str, str]:
        """The user, '' for the default one, and the password, as they are now. Raises OSError."""
        _, user, password = split_credentials(self.url)
        user = _line(self.user_file) or unquote(user or "")
        return user, _line(self.password_file) or password or ""

    def files(self) -> dict[str, Path | None]:
        """The files, by the names of the settings that take them."""
        return {f"redis_{one.name}": getattr(self, one.name) for one in fields(self)[1:]}

    def without_secret(self, password_file: Path) -> RedisServer:
        """The same where the URL has no password, which the file has."""
        url, user, _ = split_credentials(self.url)
        return replace(self, url=_with_user(url, user or ""), password_file=password_file)

    @property
    def sends_in_plaintext(self) -> bool:
        """Return whether a password goes to another machine for all on the way to read."""
        has_password = self.password_file is not None or self.has_password_in_url
        host = urlsplit(self.url).hostname or "localhost"
        return has_password and self.url.startswith("redis://") and not is_local(join(host, 0))

    def problems(self) -> Iterator[str]:
        """What is wrong with it, as far as files and words alone tell."""
        if self.password_file and self.has_password_in_url:
            yield "redis_password_file: the URL has a password, too: leave it out there"
        if (self.tls_cert is None) != (self.tls_key is None):
            yield "redis_tls_cert and redis_tls_key: give both or none"
        given = [name for name in _TLS if getattr(self, name)]
        if given and not self.url.startswith("rediss://"):
            yield f"redis_{given[0]}: TLS is for URLs that begin with rediss://"
        for name, path in self.files().items():
            try:
                _line(path)
            except OSError as error:
                yield f"{name}: cannot read {path}: {error.strerror or error}"


def _line(file: Path | None) -> str:
    """What a file holds, without the end of its line. Raises OSError."""
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n") if file else ""
    except UnicodeDecodeError:
        raise OSError(f"{file} is no text in UTF-8") from None


def _with_user(url: str, user: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{user}@{rest}" if user else url
