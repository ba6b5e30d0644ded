"""Check ids of new users, and find the nearest id that AWS allows for a name."""

import re
import unicodedata
from typing import Any, Final

from facesearch.common.validation import check_text
from facesearch.domain.entities import USER_ID_PATTERN
from facesearch.errors import InvalidParameterError

__all__ = ["check_new_user_id", "nearest_user_id"]

_LONGEST: Final = 128
_FORBIDDEN: Final = re.compile(r"[^a-zA-Z0-9_.\-:]+")
# Letters that Unicode does not decompose into a Latin letter and a mark.
_LATIN: Final = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D",
     "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "\N{LATIN SMALL LETTER DOTLESS I}": "i", "'": None, "\N{RIGHT SINGLE QUOTATION MARK}": None}
)  # fmt: skip


def nearest_user_id(name: str) -> str | None:
    """Return the nearest user id that AWS allows for a name.

    Accents are removed, letters such as ``ß`` are written in Latin letters, apostrophes are dropped, every other run of forbidden
    characters becomes one ``_``, and the id is cut to 128 characters.

    Parameters
    ----------
    name
        Any text. An allowed id is returned unchanged.

    Returns
    -------
    str or None
        1-128 characters of ``[a-zA-Z0-9_.-:]``; ``None`` if the name has no letter or digit of these.

    Examples
    --------
    >>> nearest_user_id("Ada Lovelace"), nearest_user_id("Zoë O'Neill"), nearest_user_id("李")
    ('Ada_Lovelace', 'Zoe_ONeill', None)
    """
    if len(name) <= _LONGEST and re.fullmatch(USER_ID_PATTERN, name):
        return name
    decomposed = unicodedata.normalize("NFKD", name.translate(_LATIN))
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    found = _FORBIDDEN.sub("_", plain).strip("_")[:_LONGEST].rstrip("_")
    return found if re.search("[a-zA-Z0-9]", found) else None


def check_new_user_id(argument: str, user_id: Any) -> str:
    """Return the id of a new user if AWS allows it.

    Raises
    ------
    InvalidParameterError
        If it does not; the message names *argument*, and the nearest allowed id if there is one.
    """
    try:
        return check_text(argument, user_id, USER_ID_PATTERN, _LONGEST)
    except InvalidParameterError as error:
        nearest = nearest_user_id(user_id) if isinstance(user_id, str) else None
        if nearest is None:
            raise
        raise InvalidParameterError(f"{error}; the nearest allowed id is {nearest!r}") from None
