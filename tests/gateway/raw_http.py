"""HTTP as text, for requests that no library would send."""

from __future__ import annotations

import asyncio

from headrace import addresses


async def status_of(address: str, text: str) -> int:
    """The status of the first answer to what is sent; 0 where the connection ends without one."""
    host, port = addresses.split(address)
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(text.encode("latin-1"))
            line = await reader.readline()
        except ConnectionError:
            return 0
        finally:
            writer.close()
    return int(line.split()[1]) if line else 0
