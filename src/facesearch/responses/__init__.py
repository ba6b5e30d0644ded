"""Responses of every operation, as frozen values in AWS's shape."""
