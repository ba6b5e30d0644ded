"""Check ids of new users, and find the nearest id that AWS allows for a name."""

import re
import unicodedata
from typing import Any, Final

from facesearch.common.validation import check_text
from facesearch.domain.entities import LONGEST_USER_ID, USER_ID_PATTERN
from facesearch.errors import InvalidParameterError

__all__ = ["check_new_user_id", "is_user_id", "nearest_user_id"]

# Latin letters that Unicode does not decompose into a letter and a mark, and their plain spelling.
_LATIN: Final = {
    ord(letter): plain
    for letter, plain in zip(
        "øØđĐðÐłŁħĦ\u0131ŧŦŋŊĸəƏßẞæÆœŒþÞ",
        [*"oOdDdDlLhHitTnNkeE", "ss", "SS", "ae", "AE", "oe", "OE", "th", "Th"],
        strict=True,
    )
}


def nearest_user_id(name: str) -> str | None:
    """Return the user id for a name: the name itself where AWS allows it, else the nearest id.

    Accents are dropped and letters in other forms become plain ones (Unicode's NFKD, and Latin letters such as ø and ß). Each run of
    blanks, punctuation and symbols that are invalid in an id becomes one ``_``, or nothing at the ends. No other letter or digit is
    dropped: the result is ``None`` for a name in another script, without letters and digits, or of more than 128 characters.

    Parameters
    ----------
    name
        Any text, such as the name of a folder or a person.

    Returns
    -------
    str or None
        1-128 characters of ``[a-zA-Z0-9_.-:]``. Different names may have the same id; a valid id is returned unchanged.

    Examples
    --------
    >>> nearest_user_id("Ada Lovelace"), nearest_user_id("José O'Neill (2)"), nearest_user_id("Bjørn"), nearest_user_id("李")
    ('Ada_Lovelace', 'Jose_O_Neill_2', 'Bjorn', None)
    """
    if is_user_id(name):
        return name
    decomposed = unicodedata.normalize("NFKD", name).translate(_LATIN)
    letters = "".join(letter for letter in decomposed if not unicodedata.category(letter).startswith("M"))
    # Other letters and digits, and characters of unknown meaning: private use, unassigned, bytes that are no text.
    if any(not letter.isascii() and unicodedata.category(letter)[0] in "LN" for letter in letters):
        return None
    if any(unicodedata.category(letter) in {"Co", "Cn", "Cs"} for letter in letters):
        return None
    made = re.sub(r"[^a-zA-Z0-9_.\-:]+", "_", letters).strip("_")
    return made if re.search("[a-zA-Z0-9]", made) and is_user_id(made) else None


def check_new_user_id(argument: str, user_id: Any) -> str:
    """Return the id of a new user if AWS allows it; the error names the argument, and the nearest allowed id if there is one."""
    try:
        return check_text(argument, user_id, USER_ID_PATTERN, LONGEST_USER_ID)
    except InvalidParameterError as error:
        nearest = nearest_user_id(user_id) if isinstance(user_id, str) else None
        if nearest is None:
            raise
        raise InvalidParameterError(f"{error}; the nearest allowed id is {nearest!r}") from None


def is_user_id(name: str) -> bool:
    """Return whether AWS allows a text as a user id."""
    return len(name) <= LONGEST_USER_ID and re.fullmatch(USER_ID_PATTERN, name) is not None
