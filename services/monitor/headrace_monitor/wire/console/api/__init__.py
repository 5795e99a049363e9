"""The console's JSON under /api/v1: a file for each subject, and what they read and write in common."""
