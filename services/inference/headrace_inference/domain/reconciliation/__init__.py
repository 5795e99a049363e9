"""Brings the versions that a replica has to those that it should have: loads, failures, caps, standby."""
