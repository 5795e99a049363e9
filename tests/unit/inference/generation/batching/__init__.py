"""Tests of the engine that generates text."""
