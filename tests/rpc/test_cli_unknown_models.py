"""Commands about figures say that a name was mistyped, and go on without a registry."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.rpc.monitors import running_monitor
from tests.rpc.test_cli_commands import model_file, open_shell

ABOUT = (
    ("drift", "nobody"),
    ("drift", "add/7"),
    ("quality", "nobody"),
    ("quality", "add/7"),
    ("label", "nobody", "order-1", "yes"),
    ("top", "nobody", "--once"),
)


async def test_a_mistyped_name_is_told(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """No model or version of the name is an error; a model that was never called is none."""
    async with (
        open_shell(redis_url, namespace, tmp_path / "registry") as shell,
        running_monitor(tmp_path / "monitor") as monitor,
    ):
        await shell("push", "add", model_file(tmp_path))
        to_both = type(shell)((*shell.flags, "--monitor", monitor.address))
        alone = type(shell)(("--registry", "127.0.0.1:1", "--monitor", monitor.address))
        refused = await asyncio.gather(*(to_both(*each) for each in ABOUT))
        known = await asyncio.gather(*(to_both(each[0], "add", *each[2:]) for each in ABOUT))
        away = await asyncio.gather(*(alone(*each) for each in ABOUT))
    reasons = [each.error.split("[")[-1].split("]")[0] for each in refused]
    expected = ["VERSION_NOT_FOUND" if "add/7" in each else "MODEL_NOT_FOUND" for each in ABOUT]
    assert expected == reasons
    assert [1] * len(ABOUT) == [each.status for each in refused]
    assert [0] * len(ABOUT) == [each.status for each in known]
    assert [0] * len(ABOUT) == [each.status for each in away]
