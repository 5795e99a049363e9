"""How requests of one version wait, become batches, run and are answered."""
