"""`headrace label` and `headrace quality` as processes, against a real monitor."""

from __future__ import annotations

import json
from pathlib import Path

from headrace.client import AsyncClient, Label
from tests.rpc.monitors import running_monitor
from tests.rpc.test_cli_commands import Shell
from tests.rpc.test_monitor_quality import prediction, told

CSV = """order,truth,known
order-0,7,2023-11-14T22:13:20+00:00
order-1,1,
order-77,7,
"""
LINES = """{"id": "order-2", "label": 7}

{"id": "order-3", "label": true, "row": 0}
{"id": "order-4", "label": "7"}
"""


async def test_labels_of_files_and_their_figures(tmp_path: Path) -> None:
    """A CSV with columns of its own, JSON Lines, a wrong file; then the table, and the client's answers."""
    csv, lines, wrong = (tmp_path / name for name in ("labels.csv", "labels.jsonl", "wrong.csv"))
    csv.write_text(CSV)
    lines.write_text(LINES)
    wrong.write_text("id,label\norder-1,7\norder-2,\n")
    async with running_monitor(tmp_path / "monitor") as monitor:
        answers = [prediction(number, "7") for number in range(5)]
        await monitor.send([told(1, *answers)])
        shell = Shell(("--monitor", monitor.address))
        columns = ("--id-column", "order", "--label-column", "truth", "--time-column", "known")
        shown = await shell("label", "digits", "--file", str(csv), *columns)
        assert ["2 joined", "1 of requests that no"] == [
            line[: len(start)]
            for line, start in zip(
                shown.output.splitlines(), ("2 joined", "1 of requests that no"), strict=True
            )
        ]
        shown = await shell("--json", "label", "digits", "--file", str(lines))
        assert 3 == json.loads(shown.output)["joined"]
        refused = await shell("label", "digits", "--file", str(wrong))
        assert 2 == refused.status
        assert "line 3: it has no id or no label" in refused.error.replace("\n", " ")
        shown = await shell("quality", "digits/1", "--confusion")
        assert "5 answers, 5 labelled (100%)" in shown.output
        assert "accuracy" in shown.output
        async with AsyncClient(monitor=monitor.address) as client:
            (quality,) = (await client.quality("digits")).qualities
            accuracy = quality.figure("accuracy")
            assert accuracy is not None
            assert 0.6 == accuracy.value
            counts = await client.record_labels(
                "digits", (Label(f"more-{number}", "7") for number in range(6_000))
            )
            assert 6_000 == counts.unknown
            again = await client.record_labels("digits", [Label("order-4", 7.0)])
            assert (0, 1) == (again.joined, again.duplicates)
