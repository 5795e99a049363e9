"""Log-probabilities in OpenAI's forms: of chats, and the older one of completions."""

from __future__ import annotations

from collections.abc import Sequence

from headrace_inference.domain.generation.model import TextCodec
from headrace_inference.domain.generation.requests import TokenScore

Entry = dict[str, object]


class TokenTexts:
    """The texts of tokens, each made once for an answer."""

    def __init__(self, codec: TextCodec, *, as_ids: bool = False) -> None:
        self._codec = codec
        self._as_ids = as_ids
        self._kept: dict[int, tuple[str, list[int]]] = {}

    def text(self, token: int) -> str:
        """A token as text, with U+FFFD for what is a part of a character."""
        return self.both(token)[0]

    def both(self, token: int) -> tuple[str, list[int]]:
        """The same, and its bytes."""
        found = self._kept.get(token)
        if found is None:
            data = self._codec.token_bytes(token)
            text = f"token_id:{token}" if self._as_ids else data.decode(errors="replace")
            found = self._kept[token] = text, list(data)
        return found


def chat_entries(texts: TokenTexts, scores: Sequence[TokenScore]) -> list[Entry]:
    """An entry for each token of an answer."""
    return [
        _entry(texts, score.token, score.logprob)
        | {"top_logprobs": [_entry(texts, *other) for other in score.top]}
        for score in scores
    ]


def _entry(texts: TokenTexts, token: int, logprob: float) -> Entry:
    text, data = texts.both(token)
    return {"token": text, "logprob": logprob, "bytes": data}


class CompletionScores:
    """The older form: lists beside one another, and where in the text each token begins."""

    def __init__(self, texts: TokenTexts, offset: int = 0) -> None:
        self._texts = texts
        self.offset = offset

    def unscored(self, token: int) -> Entry:
        """The first token of a prompt, which nothing comes before."""
        return self._lists([(token, None, None)])

    def of(self, scores: Sequence[TokenScore]) -> Entry:
        """These tokens, which follow those before."""
        return self._lists([(score.token, score.logprob, score) for score in scores])

    def _lists(self, rows: Sequence[tuple[int, float | None, TokenScore | None]]) -> Entry:
        tokens: list[str] = []
        offsets: list[int] = []
        for token, _, _ in rows:
            text = self._texts.text(token)
            tokens.append(text)
            offsets.append(self.offset)
            self.offset += len(text)
        return {
            "tokens": tokens,
            "token_logprobs": [logprob for _, logprob, _ in rows],
            "top_logprobs": [self._top(score) for _, _, score in rows],
            "text_offset": offsets,
        }

    def _top(self, score: TokenScore | None) -> dict[str, float] | None:
        if score is None:
            return None
        found = {self._texts.text(token): logprob for token, logprob in score.top}
        found.setdefault(self._texts.text(score.token), score.logprob)
        return found


def joined(parts: Sequence[Entry]) -> Entry:
    """Lists that follow one another as one."""
    found: dict[str, list[object]] = {
        name: [] for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset")
    }
    for part in parts:
        for name, values in found.items():
            more = part[name]
            assert isinstance(more, list)
            values.extend(more)
    return dict(found)


def prompt_entries(
    texts: TokenTexts, prompt: Sequence[int], scores: Sequence[TokenScore]
) -> list[Entry | None]:
    """vLLM's form of a prompt's scores: by token id; the first token has none."""
    assert len(scores) == len(prompt) - 1
    return [None, *(_ranked(texts, score) for score in scores)]


def _ranked(texts: TokenTexts, score: TokenScore) -> Entry:
    found: Entry = {
        str(token): {"logprob": logprob, "rank": rank, "decoded_token": texts.text(token)}
        for rank, (token, logprob) in enumerate(score.top, 1)
    }
    own = {"logprob": score.logprob, "rank": None, "decoded_token": texts.text(score.token)}
    found.setdefault(str(score.token), own)
    return found
