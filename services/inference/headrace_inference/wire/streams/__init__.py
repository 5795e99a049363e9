"""Streams of requests as every server of gRPC serves them: answered side by side, told in their order."""
