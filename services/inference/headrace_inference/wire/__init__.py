"""The edges: RPC methods, and conversion between messages and the domain."""
