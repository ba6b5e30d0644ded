"""Embed an aligned face: dlib's network, or an ONNX network of the user's own."""
