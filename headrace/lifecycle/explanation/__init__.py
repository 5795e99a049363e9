"""Explains answers: which inputs they hang on, by asking for answers to changed inputs."""
