"""Rows that are looked at: which are copied, and who looks at them, on a thread of its own."""
