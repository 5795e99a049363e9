"""The console's way in: a browser logs in with a key, and a cookie stands for it from then on."""

from __future__ import annotations

import html
from http import HTTPStatus
from importlib import resources
from urllib.parse import parse_qs, urlsplit

from headrace import errors, status
from headrace.security.access import Access
from headrace.security.credentials import Credentials
from headrace.service.authentication import Authentication
from headrace.service.http.answers import HTML_TYPE, Response
from headrace.service.http.app import HttpApp, NotFoundText, Refusal
from headrace.service.http.heads import RequestHead
from headrace.service.http.pages import is_browser
from headrace.service.http.requests import Body, Exchange, Request
from headrace_monitor.domain.sessions import SESSION_SECONDS, Sessions

LOGIN, LOGOUT = "/login", "/logout"
PAGE = "login.html"
MAX_BODY_BYTES = 64 * 1024

_COOKIE = "headrace_session"
_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _SECURITY_POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser would not say where a form comes from
    "X-Content-Type-Options": "nosniff",
}


class ConsoleApp(HttpApp):
    """An application whose callers may be browsers that logged in.

    `is_secure`: its port speaks TLS. Over TLS, here or at a proxy, the cookie goes nowhere else.
    """

    def __init__(
        self,
        not_found: NotFoundText,
        access: Access,
        sessions: Sessions,
        namespace: str,
        *,
        is_secure: bool,
    ) -> None:
        super().__init__(not_found, access=access, authorization_of=self._authorization_of)
        self._access = access
        self._sessions = sessions
        self._is_secure = is_secure
        template = resources.files(__package__).joinpath(PAGE).read_text(encoding="utf-8")
        self._page = template.replace("{{namespace}}", html.escape(namespace))
        if access.is_on:
            self._authentication = Authentication(access)
            self.add("GET", LOGIN, self._show)
            self.add_with_form("POST", LOGIN, self._log_in, MAX_BODY_BYTES)
            self.add("POST", LOGOUT, self._log_out)

    def refuse(self, request: Request, error: errors.HeadraceError) -> Exchange:
        """Send a browser that asks for a page to where it can log in."""
        is_page = request.head.method == "GET" and is_browser(request)
        if is_page and isinstance(error, errors.Unauthenticated):
            return Refusal(request, _see(LOGIN))
        return super().refuse(request, error)

    def credentials_of(self, request: Request) -> str:
        """What its caller proved himself with: a header, or what his session stands for; '' for neither."""
        return request.head.get("authorization") or self._authorization_of(request)

    def _authorization_of(self, request: Request) -> str:
        return self._sessions.authorization_of(self._cookie_of(request))

    def _cookie_of(self, request: Request) -> str:
        return _cookie(request.head, self._cookie_name(request))

    def _cookie_name(self, request: Request) -> str:
        # browsers take one of the first name from this host alone, and over TLS
        return f"__Host-{_COOKIE}" if self._is_over_tls(request) else _COOKIE

    def _is_over_tls(self, request: Request) -> bool:
        # whoever makes the header up has his own browser drop the cookie, and no other's
        return self._is_secure or request.head.get("x-forwarded-proto") == "https"

    async def _show(self, _: Request) -> Response:
        return self._login_page("")

    async def _log_in(self, request: Request, body: Body) -> Response:
        if not is_from_here(request.head):
            return self._login_page("Log in on this page.", HTTPStatus.FORBIDDEN)
        authorization = f"Bearer {_key_in(body)}"
        try:
            identity = await self._authentication.identify(Credentials(authorization))
        except errors.HeadraceError as error:
            error.forget_history()
            return self._login_page(error.message, status.http_status(error))
        self._sessions.end(self._cookie_of(request))
        cookie = self._sessions.begin(identity.subject, authorization)
        return _see("/", self._set_cookie(request, cookie, SESSION_SECONDS))

    async def _log_out(self, request: Request) -> Response:
        if is_from_here(request.head):
            self._sessions.end(self._cookie_of(request))
        return _see(LOGIN, self._set_cookie(request, "", 0))

    def _login_page(self, problem: str, code: int = HTTPStatus.OK) -> Response:
        page = self._page.replace("{{problem}}", html.escape(problem))
        return Response(page, HTML_TYPE, status=code, headers=_HEADERS)

    def _set_cookie(self, request: Request, cookie: str, seconds: int) -> str:
        name, secure = self._cookie_name(request), "; Secure" if self._is_over_tls(request) else ""
        return f"{name}={cookie}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def _key_in(body: Body) -> str:
    """The key in a form; '' where there is none."""
    try:
        fields = parse_qs(bytes(body).decode("latin-1"), max_num_fields=10)
    except ValueError:
        return ""
    return fields.get("key", [""])[0].strip()


def _see(path: str, cookie: str = "") -> Response:
    headers = {"Location": path, "Cache-Control": "no-store"}
    if cookie:
        headers["Set-Cookie"] = cookie
    return Response(status=HTTPStatus.SEE_OTHER, headers=headers)


def _cookie(head: RequestHead, name: str) -> str:
    """The value of a cookie; '' where there is none, or more than one: another page may have set one."""
    pairs = (part.strip().partition("=") for part in head.get("cookie").split(";"))
    values = [value for key, _, value in pairs if key == name]
    return values[0] if len(values) == 1 else ""


def is_from_here(head: RequestHead) -> bool:
    """Return whether a form was sent by a page of this host; programs say nothing of where they are."""
    if head.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = head.get("origin")
    return not origin or urlsplit(origin).netloc.lower() == head.get("host").lower()
