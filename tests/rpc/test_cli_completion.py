"""What a shell is told to complete a command line with, by the real registry."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from tests.rpc.test_cli_commands import model_file, open_shell


async def completions(registry: str, words: str) -> list[str]:
    """What bash is offered behind these words."""
    environ = {name: value for name, value in os.environ.items() if "HEADRACE" not in name}
    asked = {
        "_HEADRACE_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "HEADRACE_REGISTRY": registry,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headrace.cli"),
        env=environ | asked,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, error = await asyncio.wait_for(process.communicate(), 60)
    assert b"" == error
    return output.decode().split()


async def test_models_versions_and_aliases_are_completed(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Names of models everywhere, versions and aliases where one is asked for, commands by themselves."""
    async with open_shell(redis_url, namespace, tmp_path / "data") as shell:
        registry = shell.flags[1]
        await shell("push", "iris", model_file(tmp_path, 1.0), "--alias", "champion")
        await shell("push", "irony", model_file(tmp_path, 2.0))
        await shell("push", "other", model_file(tmp_path, 3.0))

        assert ["versions"] == await completions(registry, "headrace vers")
        assert ["iris", "irony"] == sorted(await completions(registry, "headrace versions ir"))
        assert ["iris@champion"] == await completions(registry, "headrace infer iris@")
        offered = await completions(registry, "headrace route iris --stable ")
        assert ["1", "champion"] == sorted(offered)


async def test_nothing_is_completed_where_no_suite_is() -> None:
    """No registry, no names, no word about it, and nobody waits."""
    await completions("127.0.0.1:1", "headrace --vers")  # what is imported, is in the page cache
    started = time.monotonic()

    assert [] == await completions("127.0.0.1:1", "headrace versions ")
    assert time.monotonic() - started < 10
