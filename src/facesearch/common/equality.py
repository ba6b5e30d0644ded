"""Compare values by content, and hash, copy and pickle them."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["FrozenMapping", "content", "equal_fields", "frozen", "hash_fields"]

K = TypeVar("K")
V = TypeVar("V")


class FrozenMapping(Mapping[K, V]):
    """A mapping that never changes; unlike a `types.MappingProxyType` it can be hashed, copied and pickled.

    Examples
    --------
    >>> import pickle
    >>> ages = FrozenMapping({"ada": 36})
    >>> pickle.loads(pickle.dumps(ages)) == ages == {"ada": 36}
    True
    >>> ages
    {'ada': 36}
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[K, V]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


def frozen(items: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return a mapping that never changes, with the same items: the converter of a field."""
    return FrozenMapping(items)


def equal_fields(one: object, other: object, kind: type[Any]) -> bool:
    """Return whether two objects of the attrs class *kind*, or of its subclasses, are equal in the fields of *kind*.

    A subclass that only narrows types, for type checkers, is equal to its base.
    """
    return all(getattr(one, each.name) == getattr(other, each.name) for each in attrs.fields(kind) if each.eq)


def hash_fields(value: object, kind: type[Any]) -> int:
    """Return the hash that goes with `equal_fields`."""
    return hash(tuple(getattr(value, each.name) for each in attrs.fields(kind) if each.eq))


def content(array: "npt.NDArray[Any] | None") -> tuple[str, tuple[int, ...], bytes] | None:
    """Return the key that an array is compared and hashed by: its type, its shape and its bytes.

    Fields of attrs classes use it as ``eq=content``: the operator ``==`` of arrays returns an array, not a truth value.
    """
    return None if array is None else (array.dtype.str, array.shape, array.tobytes())
