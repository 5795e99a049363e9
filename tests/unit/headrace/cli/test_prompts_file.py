"""Files of prompts."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from headrace.cli.prompts_file import Asked, read_prompts


def test_lines_are_objects_or_text(tmp_path: Path) -> None:
    """Empty lines are passed over; plain text is what a user says where one chats."""
    turn = {"role": "user", "content": "Hi"}
    file = tmp_path / "prompts"
    file.write_text('{"prompt": "Once"}\n\n{"messages": [{"role": "user", "content": "Hi"}]}\nHi\n')

    assert read_prompts(file, chats=False) == [Asked("Once"), Asked(messages=[turn]), Asked("Hi")]
    assert read_prompts(file, chats=True)[2] == Asked(messages=[turn])
    assert read_prompts(file, chats=True, limit=1) == [Asked("Once")]


@pytest.mark.parametrize("text", ['{"prompt": 1}', "{", '{"prompt": "a", "messages": []}', "\n"])
def test_what_is_no_prompt_is_refused_by_its_line(tmp_path: Path, text: str) -> None:
    """Nothing is left out in silence."""
    file = tmp_path / "prompts"
    file.write_text(text)
    with pytest.raises(typer.BadParameter, match=r"line 1|no prompts"):
        read_prompts(file, chats=True)
