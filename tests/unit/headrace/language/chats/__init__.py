"""Tests of language models as files."""
