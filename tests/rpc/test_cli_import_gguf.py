"""`headrace import gguf`, as a process against a real registry."""

from __future__ import annotations

from pathlib import Path

from tests.language.tiny_gguf import write_tiny_gguf
from tests.rpc.test_cli_commands import open_shell


async def test_a_gguf_file_becomes_a_version(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """It is pushed as a generative version with its alias; the file is named where nothing else is said."""
    path = tmp_path / "tiny.gguf"
    write_tiny_gguf(path)
    async with open_shell(redis_url, namespace, tmp_path) as shell:
        pushed = await shell(
            "import",
            "gguf",
            str(path),
            "tiny",
            "--weights=int4",
            "--context=128",
            "--alias=new",
            "--json",
        )
        alias = await shell("alias", "tiny", "--json")
    facts = pushed.document["language"]
    assert ("generation", "llama", "int4", 128) == (
        facts["kind"],
        facts["architecture"],
        facts["weights"],
        facts["context_length"],
    )
    assert "Tiny, int4" == pushed.document["description"]
    assert '"new"' in alias.output


async def test_a_folder_can_be_kept_without_a_registry(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What is wrong is told before anything is written, and nothing is left half written."""
    path, kept = tmp_path / "tiny.gguf", tmp_path / "onnx"
    write_tiny_gguf(path)
    (tmp_path / "cut.gguf").write_bytes(path.read_bytes()[:50_000])
    async with open_shell(redis_url, namespace, tmp_path) as shell:
        cut = await shell("import", "gguf", str(tmp_path / "cut.gguf"), f"--output={kept}")
        left = list(kept.iterdir())
        made = await shell("import", "gguf", str(path), f"--output={kept}", "--json")
        full = await shell("import", "gguf", str(path), f"--output={kept}")
        nowhere = await shell("import", "gguf", str(path))
    assert (1, True, []) == (cut.status, "GGUF_INVALID" in cut.error, left)
    assert ("llama", "int8", 512) == (
        made.document["architecture"],
        made.document["weights"],
        made.document["context_length"],
    )
    assert (kept / "genai_config.json").is_file()
    assert (2, True) == (full.status, "an empty folder" in full.error)
    assert (2, True) == (nowhere.status, "NAME pushes it" in nowhere.error)
