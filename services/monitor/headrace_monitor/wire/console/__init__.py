"""HTTP: what people look at, and how a browser logs in."""
