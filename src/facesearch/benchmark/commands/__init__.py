"""The commands of ``python -m facesearch.benchmark``."""
