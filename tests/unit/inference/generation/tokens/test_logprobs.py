"""How tokens are scored."""

from __future__ import annotations

import numpy as np
import pytest

from headrace_inference.domain.generation.tokens.logprobs import prompt_scores, token_score


def test_a_score_is_the_log_softmax_of_the_raw_row() -> None:
    """With the most probable tokens first, of equals the lower one; none is lower than -9999."""
    row = np.array([1.0, 3.0, -np.inf, 3.0, 2.0], dtype=np.float32)
    total = float(np.log(np.exp([1.0, 3.0, 3.0, 2.0]).sum()))
    score = token_score(row, 0, 3)
    assert [1, 3, 4] == [token for token, _ in score.top]
    assert [3 - total, 3 - total, 2 - total] == pytest.approx([value for _, value in score.top])
    assert 0 == score.token
    assert score.logprob == pytest.approx(1 - total)
    assert -9999.0 == token_score(row, 2, 0).logprob
    assert 5 == len(token_score(row, 0, 20).top)


def test_a_prompt_is_scored_by_the_rows_before_its_tokens() -> None:
    """Each row says what was expected in its place; half precision is widened."""
    rows = np.array([[0, 9], [9, 0]], dtype=np.float16)
    scores = prompt_scores(rows, [1, 1], 1)
    assert [1, 0] == [score.top[0][0] for score in scores]
    assert scores[0].logprob == pytest.approx(0, abs=1e-3)
    assert scores[1].logprob == pytest.approx(-9, abs=1e-2)
