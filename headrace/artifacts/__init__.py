"""Trust in artifacts: signatures by whoever made them, and sealing for stores that nobody trusts."""
