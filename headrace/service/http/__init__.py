"""An HTTP/1.1 server on asyncio: connections, requests, routes, answers. It knows no service."""
