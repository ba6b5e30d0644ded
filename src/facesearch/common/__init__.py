"""Shared helpers: validation, equality and pickling, printable text and tables, progress bars, lazy values, ordered work on all cores, forks."""
