"""Decide which faces are used: quality filter, largest face, reasons and their explanation."""
