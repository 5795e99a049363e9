"""A tokenizer as Llama 2 and Mistral have it: spaces are letters, and unknown characters become bytes."""

from __future__ import annotations

from functools import cache

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

SPECIAL = ("<unk>", "<s>", "</s>")
_PIECES = (
    "\u2581",
    *"abcdefghijklmnopqrstuvwxyzHW.,!",
    "\u2581w",
    "or",
    "ld",
    "\u2581wor",
    "\u2581world",
)


@cache
def metaspace_tokenizer() -> Tokenizer:
    """The tokenizer; the same one each time."""
    tokens = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *_PIECES]
    merges = [("\u2581", "w"), ("o", "r"), ("l", "d"), ("\u2581w", "or"), ("\u2581wor", "ld")]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True))
    tokenizer.add_special_tokens([AddedToken(each, special=True) for each in SPECIAL])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer
