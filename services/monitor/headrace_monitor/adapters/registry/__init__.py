"""The monitor's link to the registry: the catalog followed, histories read, changes made for callers."""
