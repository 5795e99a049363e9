"""Has requests of one version wait, become batches, run and be answered."""
