"""Collections in an SQLite file."""
