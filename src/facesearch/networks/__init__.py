"""Networks and their weights: verify by hash, read dlib's and ONNX files, run in ONNX Runtime."""
