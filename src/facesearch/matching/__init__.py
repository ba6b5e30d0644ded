"""Match embeddings: distance to percentage (calibration), a user's template, exact nearest neighbours."""
