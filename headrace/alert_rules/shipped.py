"""The rules that are in force without a file: few, and each one that wants a person."""

from __future__ import annotations

from headrace.alert_rules.reasons import OVERLOAD
from headrace.alert_rules.rules import (
    AnyRule,
    DataQuality,
    Drift,
    Errors,
    MissingTelemetry,
    Quality,
    ReplicaLost,
    Slower,
    VersionNotReady,
)

SHIPPED: tuple[AnyRule, ...] = (
    Errors(
        name="version-failing",
        severity="page",
        above=0.01,
        except_reasons=tuple(sorted(OVERLOAD)),
        summary="over 1 % of the requests end with an error that is not the callers' mistake",
        look_at="Look at the reasons, and at the replicas' logs; docs/errors.md has what each means. Where "
        "it began with a new version, `headrace route NAME --rollback` takes the one before.",
    ),
    Errors(
        name="version-overloaded",
        severity="ticket",
        above=0.01,
        hold="2m",
        reasons=tuple(sorted(OVERLOAD)),
        summary="over 1 % of the requests are refused, or too late, for want of room",
        look_at="Add replicas or instances, or have callers send less: `headrace top NAME` shows how long "
        "requests wait.",
    ),
    Errors(
        name="slice-failing",
        severity="ticket",
        by="slice",
        above=0.05,
        min_requests=50,
        hold="2m",
        except_reasons=tuple(sorted(OVERLOAD)),
        summary="over 5 % of the requests of one slice end with an error, and few of the others do",
        look_at="Look at the reasons, and at what callers of the slice send that others do not.",
    ),
    Slower(
        name="version-slower",
        severity="ticket",
        above=0.05,
        summary="runs take longer than they did at the same load",
        look_at="What else runs on the machines since then? Did callers begin to send larger rows? "
        "`headrace top NAME` shows runs and queues, `headrace drift NAME` the rows.",
    ),
    Drift(
        name="data-drift",
        severity="ticket",
        summary="the data are different from the version's reference",
        look_at="Compare the fields' distributions: did their source change, or the world? Where the model "
        "has to know the new data, train it anew; where all is well, take a new reference.",
    ),
    DataQuality(
        name="data-quality",
        severity="ticket",
        hold="5m",
        summary="a field is missing, infinite or out of range in more rows than in the reference",
        look_at="Ask the callers of the slice what they send. The learnt schema can refuse such rows.",
    ),
    Quality(
        name="quality-drop",
        severity="ticket",
        drop=0.05,
        hold="5m",
        summary="answers are less often right than when the reference was taken",
        look_at="Look at the slices and fields that changed with it; roll back if it came with a version.",
    ),
    MissingTelemetry(
        name="telemetry-missing",
        severity="ticket",
        hold="1m",
        summary="figures do not cover all that a replica does",
        look_at="Can the replica reach the monitor? Its own /metrics count on, and its log says what it "
        "dropped.",
    ),
    ReplicaLost(
        name="replica-lost",
        severity="ticket",
        hold="0s",
        summary="a replica ended without a last report",
        look_at="It was killed, for want of memory perhaps, or its machine is gone: look at what started "
        "it.",
    ),
    VersionNotReady(
        name="version-not-ready",
        severity="page",
        hold="2m",
        summary="a version that should serve is not ready",
        look_at="`headrace status NAME` has the reason, docs/errors.md what to do about it.",
    ),
)
"""By name; a rule of the same name in a file takes its place, and `shipped.off` turns it off."""
