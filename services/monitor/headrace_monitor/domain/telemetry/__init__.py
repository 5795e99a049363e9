"""The nouns of telemetry: measures, tallies of them, reports, and tallies as bytes."""
