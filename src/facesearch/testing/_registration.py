"""Tells hypothesis how to draw our classes; hypothesis calls it when it is imported, through an entry point."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["register"]


def register() -> None:
    """Register a strategy for each public class that mirrors an AWS shape.

    Drawing by type annotation alone would ignore the validators: most draws would be refused.
    """
    import attrs
    from hypothesis import strategies as st

    from facesearch import face, face_results, geometry, records, results

    def draw(kind: type[Any]) -> "SearchStrategy[Any]":
        # Only now: the strategies import hypothesis, which at this moment is importing us.
        from facesearch.testing.strategies import values

        return values(kind)

    for module in (geometry, face, records, results, face_results):
        for name in module.__all__:
            kind = getattr(module, name)
            if attrs.has(kind) and kind is not records.FaceModel:
                st.register_type_strategy(kind, draw)
