"""The changes in their order: reading, watching and guarding them."""
