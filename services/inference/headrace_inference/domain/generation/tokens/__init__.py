"""From logits to an answer: the next token, its score, its text, and the end."""
