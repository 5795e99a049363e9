"""What a change is decided from, the rules that decide it, and what was decided."""
