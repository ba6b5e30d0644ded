"""Compose the pipeline: from a photo to located and analysed faces."""
