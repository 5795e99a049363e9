"""A conversation at the command line: its turns, and what its commands do. It knows no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

HELP = """/reset        forget what was said
/system TEXT  tell the model what to be, from here on; without a text, nothing
/help         show this
/exit         end the chat, as Ctrl-D does
A line that ends in \\ goes on in the next. Ctrl-C ends an answer."""

Step = Literal["ask", "tell", "exit", "nothing"]


@dataclass(slots=True)
class ChatSession:
    """The turns of a conversation."""

    system: str = ""
    turns: list[Mapping[str, str]] = field(default_factory=list)
    told: str = ""
    """What the last command says."""

    def messages(self) -> list[Mapping[str, str]]:
        """Return what the model is to answer."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        return [*first, *self.turns]

    def take(self, line: str) -> Step:
        """Take what a person wrote, and say what comes next."""
        text = line.strip()
        if not text:
            return "nothing"
        if not text.startswith("/"):
            self.ask(line)
            return "ask"
        word, _, rest = text.partition(" ")
        if word in ("/exit", "/quit"):
            return "exit"
        self.told = self._done(word, rest.strip())
        return "tell"

    def _done(self, word: str, rest: str) -> str:
        match word:
            case "/help":
                return HELP
            case "/reset":
                self.turns.clear()
                return "forgotten"
            case "/system":
                self.system = rest
                return "noted" if rest else "no system message any more"
            case _:
                return f"{word} is not a command\n{HELP}"

    def ask(self, text: str) -> None:
        """Take a text as what a person says, whatever is in it."""
        self.turns.append({"role": "user", "content": text})

    def answered(self, text: str) -> None:
        """Keep an answer, or as much of it as came."""
        self.turns.append({"role": "assistant", "content": text})

    def withdraw(self) -> None:
        """Forget the last question, which got no answer."""
        self.turns.pop()
