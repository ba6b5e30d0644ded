"""The demo: find people on real photographs and write an HTML page."""
