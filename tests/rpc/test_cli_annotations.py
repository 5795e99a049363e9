"""`headrace annotate`, `card`, `diff`, `lineage` and `pull`, against a real registry."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from tests.rpc.registry_fixtures import onnx_file, running_registry
from tests.rpc.test_cli_access import Commands


async def test_annotations_by_commands(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said at the push, shown, changed by parts, and refused with what is wrong."""
    graph, data, card = (tmp_path / name for name in ("m.onnx", "test.csv", "card.md"))
    graph.write_bytes(onnx_file())
    data.write_text("a,b\n1,2\n")
    card.write_text("# Ours\n")
    measured = tmp_path / "metrics.json"
    measured.write_text('{"metrics": [{"name": "f1", "value": 0.8, "slice": "region=eu"}]}')
    async with running_registry(redis_url, namespace, tmp_path / "registry") as running:
        run = Commands(running, monkeypatch)
        said = ("--tag", "team=vision", "--metric", "accuracy=0.9,0.88,0.92", "--data", str(data))
        made = ("--method", "train", "--fact", "seed=7", "--trained-on", str(data))
        pushed = await run("push", "digits", str(graph), *said, *made, "--card", str(card))
        first = await run("annotate", "digits", "--json")
        await run("annotate", "digits/1", "--training-run", "r17", "--untag", "team")
        await run("annotate", "digits", "--metrics", str(measured), "--rows", "10")
        attached = await run("annotate", "digits", "--attach", f"{data}:rows/test.csv", "--json")
        old = await run("annotate", "digits", "--tag", "a=b", "--etag", first.document["etag"])
        shown = await run("annotate", "digits")
        read = await run("card", "digits")
        drafted = await run("card", "digits", "--draft")
        await run("annotate", "digits", "--detach", "card.md", "--remove-metric", "f1")
        left = await run("annotate", "digits", "--json")
        wrong = [
            await run("annotate", "digits", *options)
            for options in (
                ("--tag", "team"),
                ("--metric", "accuracy=high"),
                ("--slice", "region=eu"),
                ("--attach", "no-such-file"),
                ("--data", "no-such-file", "--metric", "a=1"),
            )
        ]
        refused = await run("annotate", "digits", "--parent", "1")
        log = await run("audit", "--model", "digits")
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    accuracy = first.document["metrics"][0]
    assert (0, "team=vision") == (pushed.status, "=".join(*first.document["tags"].items()))
    assert (0.9, 0.88, digest, "test.csv") == tuple(
        accuracy[name] for name in ("value", "lower", "data_digest", "data_name")
    )
    assert ("train", digest, {"seed": "7"}) == tuple(
        first.document["lineage"][name] for name in ("method", "data_digest", "facts")
    )
    assert ["card.md", "rows/test.csv"] == [
        each["path"] for each in attached.document["attachments"]
    ]
    assert ("train", "r17") == tuple(
        attached.document["lineage"][name] for name in ("method", "training_run")
    )
    assert (1, True) == (old.status, "ETAG_MISMATCH" in old.error)
    assert all(word in shown.output for word in ("0.88 to 0.92", "region=eu", "seed: 7", "10"))
    assert "# Ours\n" == read.output
    assert "| accuracy | 0.9 | 0.88 to 0.92 | all | test.csv |" in drafted.output
    assert ({}, ["accuracy"], ["rows/test.csv"]) == (
        left.document["tags"],
        [each["name"] for each in left.document["metrics"]],
        [each["path"] for each in left.document["attachments"]],
    )
    assert [2] * len(wrong) == [each.status for each in wrong]
    assert (1, True) == (refused.status, "older version" in refused.error)
    assert "annotations.attach" in log.output


async def test_versions_side_by_side(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What differs is listed part by part; metrics of the same data say how far they are apart."""
    graph, faster = tmp_path / "m.onnx", tmp_path / "config.json"
    faster.write_text(json.dumps({"instances": 2}))
    digest = "cd" * 32
    async with running_registry(redis_url, namespace, tmp_path / "registry") as running:
        run = Commands(running, monkeypatch)
        for number, value in enumerate(("0.9,0.89,0.91", "0.95,0.94,0.96")):
            graph.write_bytes(onnx_file(float(number)))
            more = ("--config", str(faster), "--parent", "1") if number else ()
            measured = ("--metric", f"accuracy={value}", "--data", digest)
            await run(
                "push", "digits", str(graph), "--alias", "new", *measured, *more, "--no-source"
            )
        shown = await run("diff", "digits", "1", "new")
        told = await run("diff", "digits", "1", "new", "--json")
        same = await run("diff", "digits", "2", "2")
        missing = await run("diff", "digits", "1", "9")
        tree = await run("lineage", "digits")
        folder = tmp_path / "pulled"
        await run("annotate", "digits@new", "--attach", f"{faster}:made/config.json")
        await run("pull", "digits@new", str(folder), "--attachments")
        await run("pull", "digits/1", str(tmp_path / "first"))
    metric = told.document["metrics"][0]
    assert (0, True) == (shown.status, "beyond the intervals" in shown.output)
    assert (False, pytest.approx(0.05)) == (metric["intervals_overlap"], metric["change"])
    assert {"what": "instances", "first": "", "second": "2"} in told.document["config"]
    assert ["model.onnx"] == [each["what"] for each in told.document["files"]]
    assert ["parent_version"] == [each["what"] for each in told.document["lineage"]]
    assert ("the same files" in same.output, missing.status) == (True, 1)
    assert ["version 1", "└─ version 2 (new)"] == tree.output.splitlines()
    assert graph.read_bytes() == (folder / "model.onnx").read_bytes()
    assert faster.read_bytes() == (folder / "attachments/made/config.json").read_bytes()
    assert (tmp_path / "first/model.onnx").is_file()


def committed(folder: Path) -> str:
    """Make a folder a work tree with one commit, and name it."""
    user = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    for arguments in (("init", "-q"), ("add", "."), (*user, "commit", "-q", "-m", "Train")):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True
    )
    return found.stdout.decode().strip()


async def test_a_push_keeps_the_commit_of_the_folder_that_it_is_called_in(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless another is said, or none is wanted; the tree of versions has it, and that files differed."""
    (tmp_path / "m.onnx").write_bytes(onnx_file(1.0))
    commit = committed(tmp_path)
    (tmp_path / "m.onnx").write_bytes(onnx_file(2.0))
    monkeypatch.chdir(tmp_path)
    async with running_registry(redis_url, namespace, tmp_path / "registry") as running:
        run = Commands(running, monkeypatch)
        for options in ((), ("--source-revision", "r1"), ("--no-source",)):
            await run("push", "digits", "m.onnx", *options)
        said = [await run("annotate", f"digits/{number}", "--json") for number in (1, 2, 3)]
        tree = await run("lineage", "digits")
    assert f"{commit}-dirty" == said[0].document["lineage"]["source_revision"]
    assert "r1" == said[1].document["lineage"]["source_revision"]
    assert None is said[2].document["lineage"]
    assert f"version 1: {commit[:12]}-dirty" == tree.output.splitlines()[0]
