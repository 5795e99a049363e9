"""A tokenizer of about 600 tokens, trained in milliseconds, with the control tokens of ChatML."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
BEGIN, START, END = range(3)
"""The numbers of the control tokens."""
TEXT = """
The river runs through the town, past the mill and under the old stone bridge. In spring the water is
high, and the wheel turns day and night; in summer it is low, and children walk across to the other
side. A miller kept a
book of every sack that he ground: the name of the farmer, the weight, the price and the day. "Count
twice," he
said, "and write once." When the mill was sold, the new owner read the book from the first page to the
last.
{"name": "Anna", "age": 31, "tags": ["one", "two"]} is an object; [1, 2, 3, 4.5, true, null] is a list.
You are a helpful assistant. What is the capital of France? The capital of France is Paris. Who are you?
How many?
"""
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@cache
def tiny_tokenizer() -> Tokenizer:
    """The tokenizer; the same one each time."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        show_progress=False,
        special_tokens=[AddedToken(each, special=True) for each in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    return tokenizer


def write_tiny_tokenizer(folder: Path, *, chat_template: str = CHAT_TEMPLATE) -> None:
    """Write tokenizer.json and tokenizer_config.json; without a template where it is ''."""
    tiny_tokenizer().save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[BEGIN],
        "eos_token": SPECIAL[END],
        "pad_token": SPECIAL[BEGIN],
        "clean_up_tokenization_spaces": False,
    }
    if chat_template:
        config["chat_template"] = chat_template
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
