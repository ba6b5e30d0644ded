"""Protocols: verification, identification, calibration."""
