"""The registry: models, versions, aliases, routes and artifacts."""

import os

# The registry starts a process for every check. gRPC would run handlers around each, and print where it
# cannot; the child needs none of it, since it runs another program at once.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
