"""Answers `/` and unknown paths of an HTTP port: what it is, and where to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from importlib.metadata import version

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = "body{font:16px/1.5 sans-serif;max-width:44em;margin:3em auto;padding:0 1em}"
_MAX_SHOWN = 200


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


def add_signposts(app: web.Application, about: About) -> None:
    """Add GET /, and let paths that lead nowhere say in JSON what there is."""
    add_root_page(app, about)
    app.middlewares.append(name_paths(about))


def add_root_page(app: web.Application, about: About) -> None:
    """Add GET /: a page for browsers, JSON for all else."""

    async def root(request: web.Request) -> web.Response:
        if not is_browser(request):
            return web.json_response(about.as_json())
        headers = {"Content-Security-Policy": _SECURITY_POLICY}
        return web.Response(text=about.as_html(), content_type="text/html", headers=headers)

    app.router.add_get("/", root)


def is_browser(request: web.Request) -> bool:
    """Return whether a request asks for a page to be looked at: browsers say so, programs do not."""
    return "text/html" in request.headers.get("Accept", "")


def name_paths(about: About) -> Middleware:
    """Lets paths that lead nowhere say in JSON which there are, and other verbs which are taken."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPNotFound:
            there = ", ".join(about.links)
            return _refusal(
                404,
                f"there is nothing at {_shown(request.path)} of this port, {about.name}; it has {there}",
            )
        except web.HTTPMethodNotAllowed as error:
            taken = " or ".join(sorted(error.allowed_methods - {"HEAD"}))
            text = f"{_shown(request.path)} takes {taken}, not {_shown(request.method)}"
            return _refusal(405, text, {"Allow": error.headers["Allow"]})

    return answer


def _shown(text: str) -> str:
    """A path may be long, and bring bytes that are not UTF-8."""
    return text[:_MAX_SHOWN].encode(errors="replace").decode()


def _refusal(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    reason = HTTPStatus(status).phrase.upper().replace(" ", "_")
    body = {"error": text, "reason": reason}
    return web.json_response(body, status=status, headers=headers)
