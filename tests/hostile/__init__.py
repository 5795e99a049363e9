"""Input that means harm or is broken: exact answers, and a suite that goes on as if nothing had been."""
