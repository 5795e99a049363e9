"""What Envoy is told, which a real Envoy finds good."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from headrace.gateway.binary import find_envoy
from headrace.gateway.config.bootstrap import as_text, bootstrap
from headrace.gateway.config.clusters import PING_SECONDS, clusters
from headrace.gateway.config.endpoints import Endpoint, EndpointState, assignment
from headrace.gateway.config.places import (
    CALLERS,
    DASHBOARD,
    GRPC_REPLICAS,
    MONITOR,
    OWN,
    REST_REPLICAS,
    SERVER,
    SERVICES,
    Places,
)
from headrace.gateway.config.secrets import ca_secret, pair_secret
from headrace.gateway.files import replace_message
from headrace.gateway.settings import Settings
from headrace.security.methods import METHODS
from headrace.security.routes import ROUTES
from headrace.security.verbs import Permission, Scope, Verb
from headrace.service.grpc_serving import MIN_PING_INTERVAL_SECONDS
from headrace.tls.authority import Authority, Names
from tests.gateway.envoy import needs_envoy

PLAIN = Settings(registry_address="127.0.0.1:8100")
FILE = Path("some.pem")
EVERYTHING = Settings(
    registry_address="unix:/run/registry.sock",
    monitor_address="monitor.example:8200",
    monitor_http_address="127.0.0.1:8201",
    tls_cert=FILE,
    tls_key=FILE,
    tls_client_ca=FILE,
    tls_client_auth="required",
    peer_tls_ca=FILE,
    peer_tls_cert=FILE,
    peer_tls_key=FILE,
    peer_tls_name="headrace.example",
    cors_origins=("https://app.example",),
    max_requests_per_second=50,
    access_log="all",
    access_log_file=Path("/dev/null"),
    otlp_address="127.0.0.1:4317",
    log_format="json",
)
VARIANTS = {
    "plain": PLAIN,
    "everything": EVERYTHING,
    "optional certificates": replace(EVERYTHING, tls_client_auth="optional", peer_tls_name=""),
    "plain replicas": replace(EVERYTHING, plain_replicas=True),
    "any origin, no retries, no age, no log": replace(
        PLAIN, cors_origins=("*",), retries=0, max_connection_age_seconds=0, access_log="off"
    ),
}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Places with the files that Envoy asks to be there."""
    places = Places(tmp_path, tmp_path)
    places.endpoints.mkdir()
    places.secrets.mkdir()
    for cluster in (GRPC_REPLICAS, REST_REPLICAS):
        replace_message(places.endpoint_file(cluster), assignment(cluster, ()))
    authority = Authority.create("tests", timedelta(days=1))
    issued = authority.issue(Names(["localhost"]), timedelta(days=1), serves=True)
    for name in (SERVER, OWN):
        replace_message(places.secret_file(name), pair_secret(name, issued.certificate, issued.key))
    for name in (CALLERS, SERVICES):
        replace_message(places.secret_file(name), ca_secret(name, authority.issued.certificate))
    return places


@needs_envoy
@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS.keys())
def test_envoy_takes_what_is_written(settings: Settings, places: Places) -> None:
    """A real Envoy validates it, without a word about what is deprecated."""
    file = places.config_file(0)
    file.write_text(as_text(bootstrap(settings, places, 0)))
    command = [str(find_envoy().path), "--mode", "validate", "-c", str(file), "-l", "warning"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (0, "") == (run.returncode, run.stderr.strip())


@pytest.mark.parametrize("plain", [False, True])
def test_replicas_may_be_plain_where_the_registry_is_not(places: Places, *, plain: bool) -> None:
    """The monitor is called over TLS all the same, as the registry is where it is not at a socket."""
    found = clusters(replace(EVERYTHING, plain_replicas=plain), places)
    kinds = ("transport_socket", "transport_socket_matches")
    over_tls = {each["name"] for each in found if any(kind in each for kind in kinds)}

    assert plain == over_tls.isdisjoint({GRPC_REPLICAS, REST_REPLICAS})
    assert over_tls >= {MONITOR, DASHBOARD}


def test_texts_in_settings_stay_texts(places: Places) -> None:
    """What looks like JSON in a setting is no part of the structure."""
    path = 'a", "x": {"y": "'
    settings = replace(PLAIN, access_log_file=Path("/" + path))
    text = as_text(bootstrap(settings, places, 0))
    assert ["/" + path] == [value for key, value in _leaves(json.loads(text)) if path in str(value)]


def _leaves(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, key)
    else:
        yield key, value


def test_only_what_may_run_twice_is_repeated(places: Places) -> None:
    """Inference of one request and reads; never the registry, a stream, or what is not listed."""
    repeated = {
        _path(route) for route in _routes(EVERYTHING, places) if _action(route).get("retry_policy")
    }
    infer = "/inference.GRPCInferenceService/"
    assert {path.removeprefix(infer) for path in repeated if path.startswith(infer)} == {
        "ModelInfer",
        "ModelMetadata",
        "ModelReady",
        "ModelConfig",
        "ModelStatistics",
        "RepositoryIndex",
        "ServerMetadata",
        "ServerLive",
        "ServerReady",
    }
    text = "/headrace.inference.v1.GenerationService/"
    assert {path.removeprefix(text) for path in repeated if path.startswith(text)} == {
        *("Score", "Embed", "Rerank", "Tokenize", "Detokenize")
    }
    others = {path for path in repeated if not path.startswith((infer, text, "/v2"))}
    assert others == {
        "/grpc.health.v1.Health/Check",
        r"/openapi\.json|/docs",
        r"/v1/(chat/completions|completions|responses)",
        r"(/v1)?/(tokenize|detokenize|rerank)|/v2/rerank|/v1/embeddings",
        r"/v1/models(/[^/]+)?|/version|/health|/ping",
    }
    assert not [path for path in repeated if "stream" in path.lower()]


def test_every_method_is_offered_to_those_who_may_call_it(places: Places) -> None:
    """What only processes of the suite may call is not, nor what would reach one replica of several."""
    of_one_replica = (
        "Memory",
        "RepositoryModelLoad",
        "RepositoryModelUnload",
        "TraceSetting",
        "LogSettings",
    )
    for path, rule in METHODS.items():
        is_for_services = rule.permission == Permission(Scope.EVERYTHING, Verb.SERVICE)
        expected = not is_for_services and not any(part in path for part in of_one_replica)
        assert (path, expected) == (path, bool(_action(_first(path, places))))


def test_every_route_of_http_is_offered_to_those_who_may_ask(places: Places) -> None:
    """Not what is for operators, or would reach one replica of several."""
    kept_back = (
        "/healthz",
        "/readyz",
        "/metrics",
        "memory",
        "/load",
        "/unload",
        "/logging",
        "/setting",
    )
    for verb, template in ROUTES:
        expected = not any(part in template for part in kept_back)
        path = re.sub(r"\{\w+\}", "a", template)
        assert (verb, path, expected) == (verb, path, _takes(verb, path, places))


def _takes(verb: str, path: str, places: Places) -> bool:
    """Return whether a request is sent on, by the first route that it fits."""

    def fits(match: Mapping[str, object]) -> bool:
        headers, pattern = match.get("headers", ()), match.get("safe_regex")
        verbs = [header["string_match"]["safe_regex"]["regex"] for header in headers]  # type: ignore[attr-defined]  # JSON
        if any(not re.fullmatch(allowed, verb) for allowed in verbs):
            return False
        if isinstance(pattern, Mapping):
            return bool(re.fullmatch(str(pattern["regex"]), path))
        return path == match.get("path") or path.startswith(str(match.get("prefix", "\0")))

    return bool(_action(next(one for one in _routes(EVERYTHING, places) if fits(one["match"]))))


def _first(path: str, places: Places) -> Mapping[str, Mapping[str, object]]:
    """The route that a call to a path takes."""

    def fits(match: Mapping[str, object]) -> bool:
        return path == match.get("path") or path.startswith(str(match.get("prefix", "\0")))

    return next(route for route in _routes(EVERYTHING, places) if fits(route["match"]))


def test_no_call_ends_by_itself(places: Places) -> None:
    """Every route is without Envoy's 15 seconds, and honours its caller's deadline."""
    actions = [_action(route) for route in _routes(EVERYTHING, places)]
    sent_on = [action for action in actions if action]
    assert [("0s", {"grpc_timeout_header_max": "0s"})] * len(sent_on) == [
        (action["timeout"], action["max_stream_duration"]) for action in sent_on
    ]


def test_an_address_that_drains_is_told_as_such() -> None:
    """And one at a Unix socket is called without TLS."""
    endpoints = [
        Endpoint("unix:/run/a%20b.sock"),
        Endpoint("10.0.0.1:8001", EndpointState.DRAINING),
    ]
    told = assignment("replicas-grpc", endpoints)["resources"]
    assert isinstance(told, list)
    hosts = told[0]["endpoints"][0]["lb_endpoints"]
    assert hosts == [
        {
            "endpoint": {
                "address": {"socket_address": {"address": "10.0.0.1", "port_value": 8001}}
            },
            "health_status": "DRAINING",
        },
        {
            "endpoint": {"address": {"pipe": {"path": "/run/a b.sock"}}},
            "health_status": "HEALTHY",
            "metadata": {
                "filter_metadata": {"envoy.transport_socket_match": {"transport": "plain"}}
            },
        },
    ]


def _routes(settings: Settings, places: Places) -> list[dict[str, dict[str, object]]]:
    static = json.loads(as_text(bootstrap(settings, places, 0)))["static_resources"]
    manager = static["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    routes: list[dict[str, dict[str, object]]] = manager["route_config"]["virtual_hosts"][0][
        "routes"
    ]
    return routes


def _path(route: Mapping[str, Mapping[str, object]]) -> str:
    match = route["match"]
    pattern = match.get("safe_regex")
    return str(
        pattern["regex"] if isinstance(pattern, Mapping) else match.get("path") or match["prefix"]
    )


def _action(route: Mapping[str, Mapping[str, object]]) -> Mapping[str, object]:
    return route.get("route", {})


def test_services_take_as_many_pings_as_the_gateway_sends() -> None:
    """Else they end the connection, and with it the watches of all callers, after a minute or two."""
    assert PING_SECONDS >= 2 * MIN_PING_INTERVAL_SECONDS
