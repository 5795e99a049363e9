"""Requests and responses of the protocol, from bytes and to bytes, for every front."""
