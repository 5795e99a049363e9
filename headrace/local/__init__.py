"""The suite on one machine: its processes, kept running, and the embedded Redis server."""
