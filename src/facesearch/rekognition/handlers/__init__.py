"""Handle Rekognition's operations, one module per kind of resource."""
