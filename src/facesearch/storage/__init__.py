"""Keep collections: in memory, in an SQLite file, in a portable export; erase what was deleted."""
