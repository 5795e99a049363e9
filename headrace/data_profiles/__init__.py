"""How rows look: profiles of fields in bins, references that say how they looked, and learnt schemas."""
