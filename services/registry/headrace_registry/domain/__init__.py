"""What the registry decides: pure rules over the catalog, and the order in which things are done."""
