"""Measures candidates beside their parent, by turns: through the suite, or in a process of this machine."""
