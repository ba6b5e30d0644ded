"""Metrics of face recognition: rates with intervals, ROC, reliability, error versus discard."""
