"""Versions of installed packages."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["installed_version"]


def installed_version(package: str) -> str | None:
    """Return the version of an installed package; ``None`` where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
