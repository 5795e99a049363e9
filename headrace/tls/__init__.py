"""TLS: certificates from files, read again when they change, for servers and for those who call them."""
