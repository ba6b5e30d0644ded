"""Draw and show responses: annotations, match rates, HTML."""
