"""Converts a route's rules to its message and back; its name, etag and times are its owner's."""

from __future__ import annotations

from headrace.registry.v1 import route_pb2
from headrace.state.route_records import (
    Canary,
    KeySource,
    MatchRule,
    RequestKey,
    RouteRecord,
    Shadow,
)


def route_to_proto(route: RouteRecord) -> route_pb2.Route:
    """The message of a route."""
    proto = route_pb2.Route(
        stable_version=route.stable,
        more_canaries=[_canary_to_proto(canary) for canary in route.more_canaries],
        match_rules=[_rule_to_proto(rule) for rule in route.matches],
    )
    if route.canary is not None:
        proto.canary.CopyFrom(_canary_to_proto(route.canary))
    if route.sticky_key is not None:
        proto.sticky_key.CopyFrom(_key_to_proto(route.sticky_key))
    if route.shadow is not None:
        proto.shadow.version = route.shadow.version
        proto.shadow.share_percent = route.shadow.share_percent
    return proto


def route_from_proto(proto: route_pb2.Route) -> RouteRecord:
    """The route of a message. What it lacks is empty, and its meaning is not checked."""
    shadow = Shadow(proto.shadow.version, proto.shadow.share_percent)
    return RouteRecord(
        stable=proto.stable_version,
        canary=_canary_from_proto(proto.canary) if proto.HasField("canary") else None,
        more_canaries=tuple(_canary_from_proto(canary) for canary in proto.more_canaries),
        sticky_key=_key_from_proto(proto.sticky_key) if proto.HasField("sticky_key") else None,
        matches=tuple(_rule_from_proto(rule) for rule in proto.match_rules),
        shadow=shadow if proto.HasField("shadow") else None,
    )


def _canary_to_proto(canary: Canary) -> route_pb2.Canary:
    return route_pb2.Canary(version=canary.version, weight_percent=canary.weight_percent)


def _canary_from_proto(proto: route_pb2.Canary) -> Canary:
    return Canary(proto.version, proto.weight_percent)


def _key_to_proto(key: RequestKey) -> route_pb2.RequestKey:
    if key.source is KeySource.HEADER:
        return route_pb2.RequestKey(header=key.name)
    return route_pb2.RequestKey(parameter=key.name)


def _key_from_proto(proto: route_pb2.RequestKey) -> RequestKey:
    if proto.WhichOneof("source") == "header":
        return RequestKey(KeySource.HEADER, proto.header.lower())
    return RequestKey(KeySource.PARAMETER, proto.parameter)


def _rule_to_proto(rule: MatchRule) -> route_pb2.MatchRule:
    proto = route_pb2.MatchRule(key=_key_to_proto(rule.key), version=rule.version)
    if rule.prefix:
        proto.prefix = rule.prefix
    else:
        proto.equals = rule.equals
    return proto


def _rule_from_proto(proto: route_pb2.MatchRule) -> MatchRule:
    return MatchRule(
        _key_from_proto(proto.key), proto.version, equals=proto.equals, prefix=proto.prefix
    )
