"""Messages as the console's JSON."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from headrace.monitor.v1 import alert_service_pb2 as pb
from headrace_monitor.wire.console.api.messages_json import message_json


def test_a_message_is_told_with_seconds_words_and_nulls() -> None:
    """Times, lengths, enums, maps, lists and what is not there."""
    alert = pb.Alert(
        id="a",
        state=pb.ALERT_STATE_FIRING,
        version=3,
        fields=[pb.AlertField(field="input x", value=0.5)],
        start_time=Timestamp(seconds=5, nanos=500_000_000),
        objective=pb.ObjectiveStatus(period=Duration(seconds=60)),
        reasons={"QUEUE_FULL": 2},
    )
    found = message_json(alert)
    told = {key: found[key] for key in ("id", "state", "severity", "version", "start_time")}
    assert {"id": "a", "state": "firing", "severity": "", "version": 3, "start_time": 5.5} == told
    assert (None, [], {"QUEUE_FULL": 2}) == (
        found["fire_time"],
        found["slices"],
        found["reasons"],
    )
    assert [{"field": "input x", "finding": "", "measure": "", "value": 0.5}] == found["fields"]
    objective = found["objective"]
    assert isinstance(objective, dict)
    assert (60.0, None) == (objective["period"], objective["latency"])
