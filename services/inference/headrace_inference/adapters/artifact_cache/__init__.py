"""The artifacts of versions on the replica's disk: fetched, checked, leased, pruned."""
