"""The commands that edit a model and watch what is done, as processes against a real registry."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

from tests.language.tiny_models import TinyModel
from tests.rpc.registry_fixtures import onnx_file
from tests.rpc.test_cli_commands import Shell, open_shell


async def test_a_model_is_made_shown_and_changed(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What is not named stays as it is; labels are added and removed one by one."""
    async with open_shell(redis_url, namespace, tmp_path) as shell:
        made = await shell(
            "model", "digits", "--create", "--description", "Digits.", "--label", "team=a", "--json"
        )
        changed = await shell(
            "model", "digits", "--label=stage=prod", "--label=team=b", "--keep-latest=3", "--json"
        )
        removed = await shell("model", "digits", "--remove-label=stage", "--remove-label=none")
        emptied = await shell("model", "digits", "--description", "", "--json")
        pinned = await shell("model", "digits", "--pin", "--json")
        kept = await shell("model", "digits", "--keep-latest=3")
        unpinned = await shell("model", "digits", "--unpin", "--json")
        protected = await shell("model", "digits", "--protect")
        kept_back = await shell("delete", "digits", "--force", "--yes")
        unprotected = await shell("model", "digits", "--unprotect", "--json")
        again = await shell("model", "digits", "--create")
    assert ({"team": "a"}, "Digits.", 1) == _facts(made.document)
    assert ({"stage": "prod", "team": "b"}, "Digits.", 3) == _facts(changed.document)
    assert "labels       team=b" in removed.output.splitlines()
    assert ({"team": "b"}, "", 3) == _facts(emptied.document)
    assert (True, False) == (pinned.document["pinned"], unpinned.document["pinned"])
    assert "pinned       yes" in kept.output.splitlines()
    assert "protected    yes" in protected.output.splitlines()
    assert (1, True) == (kept_back.status, "headrace model NAME --unprotect" in kept_back.error)
    assert False is unprotected.document["protected"]
    assert (1, True) == (again.status, "MODEL_EXISTS" in again.error)


async def test_wrong_edits_of_a_model_are_refused(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """By the command where it can tell, by the registry where it knows more; nothing is changed."""
    async with open_shell(redis_url, namespace, tmp_path) as shell:
        await shell("model", "digits", "--create", "--label=a=1")
        wrong = {
            "--label=nothing": "KEY=VALUE",
            "--label==x": "KEY=VALUE",
            "--keep-latest=101": "keep_latest",
            "--keep-latest=many": "'many' is not a valid int",
        }
        for flag, said in wrong.items():
            refused = await shell("model", "digits", flag)
            assert refused.status != 0, flag
            assert said in refused.error, flag
        both = await shell("model", "digits", "--label=a=2", "--remove-label=a")
        missing = await shell("model", "other", "--label=a=2")
        after = await shell("model", "digits", "--json")
    assert "both set and removed" in both.error
    assert "MODEL_NOT_FOUND" in missing.error
    assert ({"a": "1"}, "", 1) == _facts(after.document)


async def test_labels_that_two_change_at_a_time_are_all_there(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Each edit is made on what the other wrote."""
    async with open_shell(redis_url, namespace, tmp_path) as shell:
        await shell("model", "digits", "--create")
        edits = [shell("model", "digits", f"--label={key}=1") for key in "abc"]
        assert [0, 0, 0] == [each.status for each in await asyncio.gather(*edits)]
        after = await shell("model", "digits", "--json")
    assert ({"a": "1", "b": "1", "c": "1"}, "", 1) == _facts(after.document)


async def test_watch_shows_changes_as_they_are_made(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """From now on, or from the oldest that is kept; of one model, or of all."""
    file = tmp_path / "model.onnx"
    file.write_bytes(onnx_file())
    async with open_shell(redis_url, namespace, tmp_path / "registry") as shell:
        await shell("model", "other", "--create")
        await shell("push", "digits", str(file), "--no-source")
        await shell("alias", "digits", "best", "1")
        told = await _lines(shell, 3, "watch", "--since", "0")
        only = await _lines(shell, 1, "watch", "digits", "--since=0", "--json")
        missing = await shell("watch", "nobody")
    words = [line.split() for line in told]
    assert ["1", "model.create", "models/other:", "keep", "latest", "1"] == words[0][:6]
    assert ["2", "version.push", "models/digits/versions/1"] == words[1][:3]
    assert ["3", "alias.update", "models/digits/aliases/best:", "version", "1"] == words[2][:5]
    assert "version.push" == json.loads(only[0])["kind"]
    assert (1, True) == (missing.status, "MODEL_NOT_FOUND" in missing.error)


async def test_aliases_move_together(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """All of them at one revision, which a watch shows; where one cannot move, none does."""
    file = tmp_path / "model.onnx"
    file.write_bytes(onnx_file())
    async with open_shell(redis_url, namespace, tmp_path / "registry") as shell:
        await shell("push", "digits", str(file), "--no-source")
        moved = await shell("alias", "digits", "best=1", "next=1", "--json")
        refused = await shell("alias", "digits", "best=1", "next=7", "more=1")
        unclear = await shell("alias", "digits", "best=1", "next")
        twice = await shell("alias", "digits", "best=1", "best=1")
        listed = await shell("alias", "digits")
        told = await _lines(shell, 3, "watch", "--since", "0")
    assert [("best", 1), ("next", 1)] == [
        (each["name"], each["version"]) for each in moved.document["aliases"]
    ]
    assert "VERSION_NOT_FOUND" in refused.error
    assert "ALIAS=VERSION" in unclear.error
    assert "named twice" in twice.error
    assert "more" not in listed.output
    assert ["2", "alias.update", "models/digits/aliases/best:"] == told[1].split()[:3]
    assert ["alias.update", "models/digits/aliases/next:", "version", "1"] == told[2].split()


async def _lines(shell: Shell, count: int, *arguments: str) -> list[str]:
    """The first lines of a command that goes on."""
    process = await shell.start(*arguments)
    assert process.stdout
    try:
        return [
            (await asyncio.wait_for(process.stdout.readline(), 30)).decode() for _ in range(count)
        ]
    finally:
        process.kill()
        await process.communicate()


def _facts(model: dict[str, object]) -> tuple[object, object, object]:
    return model["labels"], model["description"], model["keep_latest"]


async def test_a_language_model_s_folder_is_pushed_as_it_is_and_shown(
    redis_url: str, namespace: str, tmp_path: Path, tiny_optimum: TinyModel
) -> None:
    """Files that are not served stay behind; tables say the kind, and what the files say of it."""
    folder = shutil.copytree(tiny_optimum.folder, tmp_path / "hub")
    for name in ("model.safetensors", "README.md", "model_q4.onnx"):
        (folder / name).write_bytes(b"not served")
    pulled = tmp_path / "pulled"
    async with open_shell(redis_url, namespace, tmp_path / "data") as shell:
        pushed = await shell("push", "chat", str(folder), "--json")
        models, versions, model, status, pull = await asyncio.gather(
            shell("models"),
            shell("versions", "chat"),
            shell("model", "chat"),
            shell("status"),
            shell("pull", "chat", str(pulled)),
        )
    assert sorted(path.name for path in tiny_optimum.folder.iterdir()) == [
        file["path"] for file in pushed.document["files"]
    ]
    assert ["chat", "generation", "1"] == models.output.splitlines()[1].split()[:3]
    assert "kind         generation" in model.output.splitlines()
    assert ["chat", "generation", "1"] == status.output.splitlines()[1].split()[:3]
    assert "text, up to 512 tokens" in versions.output
    assert (
        "version 1: llama; fp32 weights; context of 512 tokens; 640 tokens known; 512 B of keys and values "
        "a token; for completion, chat" in " ".join(versions.output.split())
    )
    assert 0 == pull.status, pull.error
    assert {path.name: path.read_bytes() for path in tiny_optimum.folder.iterdir()} == {
        path.name: path.read_bytes() for path in pulled.iterdir()
    }
