"""Wait for what another process or thread does."""

import time
from collections.abc import Callable


def soon(condition: Callable[[], bool], *, seconds: float = 30) -> bool:
    """Return whether a condition holds within some seconds."""
    for _ in range(round(seconds / 0.05)):
        if condition():
            return True
        time.sleep(0.05)
    return False
