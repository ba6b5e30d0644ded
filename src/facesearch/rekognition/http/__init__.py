"""Serve Rekognition's operations over HTTP, with AWS signatures."""
