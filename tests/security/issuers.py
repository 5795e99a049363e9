"""An issuer of JWTs: its keys, its JWKS, and the tokens that it signs."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from headrace.tls.authority import Authority, Names

ISSUER = "https://login.example"
AUDIENCE = "headrace"


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key, made once in a run of the tests."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """A key of P-256."""
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    """A key of Ed25519."""
    return ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    """The public part of a key, as a JWKS has it."""
    if isinstance(key, rsa.RSAPrivateKey):
        algorithm: Any = jwt.algorithms.RSAAlgorithm
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = jwt.algorithms.ECAlgorithm
    else:
        algorithm = jwt.algorithms.OKPAlgorithm
    public = json.loads(algorithm.to_jwk(key.public_key()))
    public.pop("key_ops", None)
    return {**public, "kid": kid, **more}


def jwks(*keys: dict[str, Any]) -> bytes:
    """A JWKS."""
    return json.dumps({"keys": keys}).encode()


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token; None takes one out."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 300}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def token(
    key: Any = None, algorithm: str = "ES256", kid: str | None = "e1", /, **changes: Any
) -> str:
    """A token that this issuer signs; `headers` are further headers, all else changes of claims."""
    headers = {**({} if kid is None else {"kid": kid}), **changes.pop("headers", {})}
    payload = json.dumps(claims(**changes)).encode()  # jwt.encode() takes no wrong claims
    return jwt.PyJWS().encode(payload, key or ec_key(), algorithm, headers)


def segments(header: dict[str, Any], payload: dict[str, Any], signature: bytes) -> str:
    """A token of any parts."""
    parts = (json.dumps(header).encode(), json.dumps(payload).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def public_pem(key: Any) -> bytes:
    """A public key as PEM, as an attacker has it."""
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


class JwksServer:
    """A server of a JWKS over TLS; `body` is what it answers, `requests` counts."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.body = b""
        self.status = 200
        self.location = ""
        self.requests = 0
        self.tokens: list[str] = []


@contextmanager
def serving_jwks(folder: Path) -> Iterator[JwksServer]:
    """Serve while inside; `folder` gets `ca.pem`."""
    authority = Authority.create("issuers", timedelta(days=1))
    issued = authority.issue(Names(["localhost"], ["127.0.0.1"]), timedelta(days=1), serves=True)
    (folder / "ca.pem").write_bytes(authority.issued.certificate)
    (folder / "server.pem").write_bytes(issued.certificate + issued.key)
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            serving.requests += 1
            serving.tokens.append(self.headers.get("Authorization", ""))
            self.send_response(serving.status)
            if serving.location:
                self.send_header("Location", serving.location)
            self.end_headers()
            self.wfile.write(serving.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = JwksServer(f"https://127.0.0.1:{server.server_port}/keys")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield serving
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
