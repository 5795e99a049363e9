"""Which version answers a request: every name, resolved beforehand."""
