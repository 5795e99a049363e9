"""How good answers were: predictions, the truth that comes later, and figures of both."""
