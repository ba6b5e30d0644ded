"""Describe a face: attributes, eyes, gaze, image quality and match quality."""
