"""Names of classes that are kept on disk."""

__all__ = ["stable_name"]

_PACKAGE = __name__.partition(".")[0]


def stable_name(kind: type) -> str:
    """Return a name of a class that stays the same when the class moves to another module of this package.

    That is the qualified name of a class of this package; module and qualified name of any other class.
    """
    if kind.__module__.partition(".")[0] == _PACKAGE:
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
