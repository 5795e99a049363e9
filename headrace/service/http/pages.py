"""Answers `/` and unknown paths of a port: what it is, and where to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib.metadata import version

from headrace.security.access import OPEN_ACCESS, Access
from headrace.service.http.answers import HTML_TYPE, Response, json_response
from headrace.service.http.app import MAX_SHOWN, HttpApp
from headrace.service.http.requests import Request

_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = "body{font:16px/1.5 sans-serif;max-width:44em;margin:3em auto;padding:0 1em}"


@dataclass(frozen=True, slots=True)
class About:
    """A port: its name, a sentence on what it is for, and what is to be found at which path."""

    name: str
    description: str
    links: Mapping[str, str]

    def as_json(self) -> dict[str, object]:
        """It as JSON."""
        links = [{"path": path, "description": text} for path, text in self.links.items()]
        return {
            "name": self.name,
            "version": version("headrace"),
            "description": self.description,
            "links": links,
        }

    def as_html(self) -> str:
        """It as a page that needs nothing else."""
        links = "".join(
            f"<li><a href='{escape(path)}'>{escape(path)}</a> {escape(text)}</li>"
            for path, text in self.links.items()
        )
        return (
            f"<!doctype html><html lang='en'><head><meta charset='utf-8'>"
            f"<title>{escape(self.name)}</title><style>{_STYLE}</style></head><body>"
            f"<h1>{escape(self.name)} {version('headrace')}</h1>"
            f"<p>{escape(self.description)}</p><ul>{links}</ul></body></html>"
        )

    def not_found(self, path: str) -> str:
        """Say that a path leads nowhere, and which there are."""
        there = ", ".join(self.links)
        return f"there is nothing at {path[:MAX_SHOWN]} of this port, {self.name}; it has {there}"


def signposted(about: About, access: Access = OPEN_ACCESS) -> HttpApp:
    """An application with GET /, whose paths that lead nowhere say in JSON which there are."""
    app = HttpApp(about.not_found, access=access)
    add_root_page(app, about)
    return app


def add_root_page(app: HttpApp, about: About) -> None:
    """Add GET /: a page for browsers, JSON for all else."""

    async def root(request: Request) -> Response:
        if not is_browser(request):
            return json_response(about.as_json())
        headers = {"Content-Security-Policy": _SECURITY_POLICY}
        return Response(about.as_html(), HTML_TYPE, headers=headers)

    app.add("GET", "/", root)


def is_browser(request: Request) -> bool:
    """Return whether a request asks for a page to be looked at: browsers say so, programs do not."""
    return "text/html" in request.head.get("accept")
