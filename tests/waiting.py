"""Wait for what another process or thread does."""

import time
from collections.abc import Callable


def soon(condition: Callable[[], bool]) -> bool:
    """Return whether a condition holds within 30 seconds."""
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.05)
    return False
