"""What was learnt of a version's data, held at its door: rows that differ are flagged or refused."""
