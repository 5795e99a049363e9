"""Keys and policy for parts of the suite that do not follow the shared state: the monitor and the gateway.

They watch a registry's AccessService.WatchRights, and keep the last of it in a file.
"""
