"""The payload log of a replica: which requests are logged, and what of them, masked before."""
