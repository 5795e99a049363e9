"""Writes text with the served language model, letter by letter, and says how surprised it is at a text.

python -m examples.language_lstm.call letters 'And it came to pass' --letters 200
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import headrace

LAYERS, HIDDEN = 2, 192


@dataclass
class Writer:
    """A text under way. Its state lies with the caller: any replica takes the next letter."""

    client: headrace.Client
    model: str

    def __post_init__(self) -> None:
        self._state = {
            name: np.zeros((1, LAYERS, HIDDEN), np.float32) for name in ("hidden", "cell")
        }

    def read(self, text: str) -> npt.NDArray[np.float32]:
        """Go on by a text; for each of its letters, log probabilities of the one that follows."""
        letters = np.frombuffer(text.encode("ascii"), np.uint8)[None]
        answer = self.client.infer(self.model, {"letters": letters, **self._state})
        self._state = {name: answer[f"{name}_after"] for name in self._state}
        found: npt.NDArray[np.float32] = answer["log_probabilities"][0]
        return found


def written(
    client: headrace.Client, model: str, start: str, letters: int, *, temperature: float, seed: int
) -> str:
    """A text that goes on from `start`: each letter is drawn from what the model says, and sent back."""
    random = np.random.default_rng(seed)
    writer, text, given = Writer(client, model), start, start
    for _ in range(letters):
        scores = writer.read(given)[-1].astype(np.float64) / temperature
        chances = np.exp(scores - scores.max())
        given = chr(random.choice(len(chances), p=chances / chances.sum()))
        text += given
    return text


def perplexity(client: headrace.Client, model: str, text: str) -> float:
    """The number of letters among which the model wavers, on average, before each of a text."""
    scores = Writer(client, model).read(text[:-1])
    following = np.frombuffer(text[1:].encode("ascii"), np.uint8)
    return float(np.exp(-scores[np.arange(len(following)), following].mean()))


def main() -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("start")
    parser.add_argument("--letters", type=int, default=200)
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--seed", type=int, default=0)
    given: Any = parser.parse_args()
    with headrace.Client() as client:
        print(f"perplexity of the start: {perplexity(client, given.model, given.start):.2f}")
        options = {"temperature": given.temperature, "seed": given.seed}
        print(written(client, given.model, given.start, given.letters, **options))


if __name__ == "__main__":
    main()
