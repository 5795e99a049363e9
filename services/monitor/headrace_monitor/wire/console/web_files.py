"""Serves the files of the console's web app, under paths that change with what they hold."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import html
from dataclasses import dataclass
from http import HTTPStatus
from importlib import resources
from importlib.resources.abc import Traversable

from headrace.service.http.answers import HTML_TYPE, Response, refusal
from headrace.service.http.app import HttpApp
from headrace.service.http.compression import MIN_BYTES, chosen_encoding
from headrace.service.http.requests import Request

FOLDER = "web"
PAGE = "index.html"
FILE, VENDOR_FILE = "/console/{digest}/{file}", "/console/{digest}/vendor/{file}"
SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "object-src 'none'; require-trusted-types-for 'script'; trusted-types default"
)
"""Its scripts, styles and data come from here alone, and no text becomes a part of a page's structure."""

_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "": "text/plain; charset=utf-8",
}
_SECURITY = {
    "Content-Security-Policy": SECURITY_POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_FOR_EVER = "public, max-age=31536000, immutable"
"""The path holds a digest: another content has another path."""


@dataclass(slots=True)
class _File:
    """A file: its type, its bytes, and, once somebody asked for them, its bytes packed."""

    content_type: str
    content: bytes
    packed: bytes | None = None

    async def body(self, encoding: str) -> bytes:
        """The bytes in an encoding. They are packed once, in a thread."""
        if encoding != "gzip":
            return self.content
        if self.packed is None:
            self.packed = await asyncio.to_thread(gzip.compress, self.content, 9, mtime=0)
        return self.packed


class WebFiles:
    """The web app: its page, and what that loads. Held in memory: 1 MB, packed another 0.3 MB."""

    def __init__(self, namespace: str) -> None:
        self._files = dict(_read(resources.files(__package__).joinpath(FOLDER)))
        self.digest = _digest(self._files)
        page = self._files.pop(PAGE).content.decode()
        page = page.replace("{{digest}}", self.digest)
        page = page.replace("{{namespace}}", html.escape(namespace))
        self._page = _File(HTML_TYPE, page.encode())
        self._page_tag = f'"{hashlib.sha256(self._page.content).hexdigest()[:16]}"'

    def add_to(self, app: HttpApp) -> None:
        """Have an application serve what the page loads."""
        app.add("GET", FILE, self._show_file)
        app.add("GET", VENDOR_FILE, self._show_vendor_file)

    async def page(self, request: Request) -> Response:
        """The page. Browsers ask again each time whether it is still the same."""
        headers = {**_SECURITY, "Cache-Control": "no-cache", "Vary": "Accept, Accept-Encoding"}
        return await _answer(request, self._page, self._page_tag, headers)

    async def _show_file(self, request: Request) -> Response:
        return await self._show(request, request.names["file"])

    async def _show_vendor_file(self, request: Request) -> Response:
        return await self._show(request, f"vendor/{request.names['file']}")

    async def _show(self, request: Request, name: str) -> Response:
        found = self._files.get(name)
        if found is None or request.names["digest"] != self.digest:
            return refusal(
                HTTPStatus.NOT_FOUND, "the console has no such file; load its page again"
            )
        headers = {**_SECURITY, "Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
        return await _answer(request, found, f'"{self.digest}"', headers)


async def _answer(request: Request, file: _File, tag: str, headers: dict[str, str]) -> Response:
    head = request.head
    taken = chosen_encoding(head.get("accept-encoding").replace("deflate", ""))
    encoding = taken if len(file.content) >= MIN_BYTES else ""
    if encoding:
        tag = f'{tag[:-1]}-{encoding}"'
    headers = {**headers, "ETag": tag}
    if tag in head.get("if-none-match"):
        return Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    if encoding:
        headers["Content-Encoding"] = encoding
    return Response(await file.body(encoding), file.content_type, headers=headers)


def _read(folder: Traversable, prefix: str = "") -> list[tuple[str, _File]]:
    found: list[tuple[str, _File]] = []
    for each in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if each.is_dir():
            found += _read(each, f"{prefix}{each.name}/")
        else:
            ending = each.name.rpartition(".")[2] if "." in each.name else ""
            content_type = _TYPES.get(ending, HTML_TYPE)
            found.append((prefix + each.name, _File(content_type, each.read_bytes())))
    return found


def _digest(files: dict[str, _File]) -> str:
    digest = hashlib.sha256()
    for name, file in files.items():
        digest.update(f"{name}\0{len(file.content)}\0".encode() + file.content)
    return digest.hexdigest()[:16]
