"""Photographs to measure on: pairs, people, cropping, degradation, cached embeddings."""
