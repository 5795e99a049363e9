"""gRPC: RPC methods, reports and answers as bytes, and conversion between messages and the domain."""
