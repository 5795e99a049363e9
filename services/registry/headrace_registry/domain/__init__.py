"""The registry's decisions: pure rules over the catalog, and the order in which things are done."""
