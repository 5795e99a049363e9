"""The service's knowledge and decisions; no wire, no store, no clock of its own."""
