"""The way of reports into the ledger."""
