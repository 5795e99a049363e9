"""What the service knows and decides; no wire, no store, no clock of its own."""
