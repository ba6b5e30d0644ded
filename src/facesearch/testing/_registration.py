"""The hypothesis entry point: hypothesis calls `register` whenever it is imported, in any program with facesearch installed.

So this module loads no other part of facesearch and never raises. A class is registered when the program has loaded its
module, and the strategies are loaded when one is drawn from.
"""

import logging
import sys
from typing import TYPE_CHECKING, Any

from facesearch.common.announce import listen

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["register"]


def register() -> None:
    """Register a strategy for each public class that mirrors an AWS shape, as soon as its module is loaded.

    Drawing by type annotation alone would ignore the validators: most draws would be refused.
    """
    listen(_register)


def _register(module: str) -> None:
    try:
        from attrs import has
        from hypothesis import strategies as st

        for name in sys.modules[module].__all__:
            kind = getattr(sys.modules[module], name)
            if has(kind) and name != "FaceModel":
                st.register_type_strategy(kind, _draw)
    except Exception:  # importing hypothesis, or facesearch, must not fail for it
        logging.getLogger("facesearch").debug("no strategies for %s", module, exc_info=True)


def _draw(kind: type[Any]) -> "SearchStrategy[Any]":
    from facesearch.testing.strategies import values

    return values(kind)
