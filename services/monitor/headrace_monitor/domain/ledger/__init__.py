"""The reported tallies, by time and in total, and which of them are not stored yet."""
