"""Values of coalitions: the answer where their features are the row's and all others the baseline's."""

from __future__ import annotations

import numpy as np

from headrace.lifecycle.explanation.asking import Asker, Scores, copies_in_a_part
from headrace.lifecycle.explanation.maskers import Masker, Masks


class Game:
    """Asks for coalitions' values, each of them once, however often it is wanted."""

    def __init__(self, masker: Masker, asker: Asker) -> None:
        self.masker = masker
        self.asker = asker
        self._known: dict[bytes, float] = {}

    @property
    def features(self) -> int:
        """How many there are."""
        return len(self.masker.features)

    async def value(self) -> float:
        """The answer to the row itself."""
        return float((await self.values(np.ones((1, self.features), bool)))[0])

    async def baseline_value(self) -> float:
        """The answer to the baseline."""
        return float((await self.values(np.zeros((1, self.features), bool)))[0])

    async def values(self, masks: Masks) -> Scores:
        """The values of coalitions. Raises as Asker.score does."""
        packed = np.packbits(masks, axis=1)
        keys = [line.tobytes() for line in packed]
        new = {key: place for place, key in enumerate(keys) if key not in self._known}
        await self._ask(masks[list(new.values())], list(new))
        return np.array([self._known[key] for key in keys])

    async def _ask(self, masks: Masks, keys: list[bytes]) -> None:
        if not keys:
            return
        self.asker.allow(len(keys) * self.masker.backgrounds)
        part = copies_in_a_part(self.masker.rows(masks[:1]))
        for start in range(0, len(keys), part):
            some = masks[start : start + part]
            scores = await self.asker.score(self.masker.rows(some))
            means = scores.reshape(len(some), -1).mean(axis=1)
            self._known |= zip(keys[start : start + part], means.tolist(), strict=True)
