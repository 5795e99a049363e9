"""Labels and quality as JSON, below /api/v1/models/{model}."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import msgspec

from headrace import errors
from headrace.errors import FieldViolation
from headrace.service.http.answers import JSON_TYPE, Response
from headrace.service.http.app import HttpApp
from headrace.service.http.requests import Body, Request
from headrace_monitor.domain.quality.figures import Figure, QualityFigures, QualityQuery
from headrace_monitor.domain.quality.labels import Label
from headrace_monitor.domain.quality.quality_desk import (
    DEFAULT_WINDOW_NS,
    QualityAnswer,
    QualityDesk,
)
from headrace_monitor.domain.telemetry.report import NANOSECONDS
from headrace_monitor.wire.console.api.api import check_sender
from headrace_monitor.wire.grpc import label_convert, quality_convert
from headrace_monitor.wire.grpc.times import MAX_SECONDS

LABELS, QUALITY = "/api/v1/models/{model}/labels", "/api/v1/models/{model}/quality"

MAX_BODY_BYTES = 4 * 2**20
"""As of a message of gRPC: 10,000 labels with long ids."""


class JsonLabel(msgspec.Struct, forbid_unknown_fields=True):
    """A label as it is sent: `label` and `value` mean the same."""

    id: str
    row: int = 0
    label: str | int | float | bool | None = None
    value: float | None = None
    time: float | datetime | None = None
    """Seconds since 1970, or a text as of RFC 3339."""


class JsonLabels(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request that tells labels."""

    labels: list[JsonLabel]


def add_quality_routes(app: HttpApp, desk: QualityDesk) -> None:
    """Add POST …/labels and GET …/quality; who may ask is decided by the table of routes."""

    async def label(request: Request, body: Body) -> Response:
        check_sender(request)
        model = request.names["model"]
        labels = await desk.work(lambda: _labels(model, body))
        return _json(asdict(await desk.label(model, labels)))

    async def quality(request: Request) -> Response:
        answer = await desk.ask(_query(request))
        return _json(answer_to_json(answer))

    app.add_with_form("POST", LABELS, label, MAX_BODY_BYTES)
    app.add("GET", QUALITY, quality)


def _labels(model: str, body: Body) -> Sequence[Label]:
    return label_convert.checked(model, [_label(each) for each in _decoded(body).labels])


def _decoded(body: Body) -> JsonLabels:
    try:
        return msgspec.json.decode(bytes(body), type=JsonLabels)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise label_convert.invalid([FieldViolation("body", str(error))]) from error


def _label(each: JsonLabel) -> Label | None:
    truth = each.label if each.value is None else each.value
    if truth is None:
        return None
    time = each.time.timestamp() if isinstance(each.time, datetime) else each.time or 0.0
    time_ns = int(time * NANOSECONDS) if abs(time) <= MAX_SECONDS else -1  # NaN is in no range
    return Label(each.id, _truth(truth), each.row, time_ns)


def _truth(truth: object) -> str | float:
    """Read a class or a number; JSON's true and false are the classes `true` and `false`."""
    if isinstance(truth, bool):
        return "true" if truth else "false"
    return truth if isinstance(truth, str) else float(str(truth))


def _query(request: Request) -> QualityQuery:
    asked = request.head.query
    version = asked.get("version", "")
    return quality_convert.checked(
        QualityQuery(
            _nanoseconds(request, "window", DEFAULT_WINDOW_NS),
            _nanoseconds(request, "end", 0),
            _nanoseconds(request, "step", 0),
            request.names["model"],
            int(version) if version.isdecimal() and len(version) < 19 else -1 if version else 0,
            asked.get("slice"),
        )
    )


def _nanoseconds(request: Request, name: str, default_ns: int) -> int:
    text = request.head.query.get(name, "")
    if not text:
        return default_ns
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 1e11:
        description = "must be a number of seconds"
        violation = FieldViolation(name, description)
        raise errors.InvalidArgument(
            "INVALID_QUERY", f"{name} {description}", violations=(violation,)
        )
    return int(seconds * NANOSECONDS)


def answer_to_json(answer: QualityAnswer) -> dict[str, object]:
    """The answer as the console reads it: seconds since 1970."""
    return {
        "sampled_share": answer.totals.share,
        "dropped_predictions": answer.totals.dropped,
        "qualities": [_quality(each) for each in answer.figures],
    }


def _quality(quality: QualityFigures) -> dict[str, object]:
    return {
        "model": quality.key.model,
        "version": quality.key.version,
        "slice": quality.key.slice,
        "start": quality.start_ns / NANOSECONDS,
        "end": quality.end_ns / NANOSECONDS,
        "predictions": quality.predictions,
        "labelled": quality.labelled,
        "coverage": quality.coverage,
        "delay_seconds": quality.delay_seconds,
        "figures": [_figure(each) for each in quality.figures],
        "estimates": [_figure(each) for each in quality.estimates],
        "confusion": [asdict(each) for each in quality.confusion],
        "notes": list(quality.notes),
    }


def _figure(figure: Figure) -> dict[str, object]:
    return {
        "name": figure.name,
        "of": figure.of,
        "value": figure.value,
        "low": figure.low,
        "high": figure.high,
        "count": figure.count,
        "estimated": figure.estimated,
    }


def _json(content: object) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(json.dumps(content).encode(), JSON_TYPE, headers=headers)
