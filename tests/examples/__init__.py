"""Examples at a reduced size: trained, pushed to a real suite, called, and held to a floor of quality."""
