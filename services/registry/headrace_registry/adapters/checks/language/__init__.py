"""Recognises artifacts that are versions of text, and checks them."""
