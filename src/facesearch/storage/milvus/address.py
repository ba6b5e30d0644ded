"""The address of a Milvus server."""

from enum import Enum
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs
from attrs import field

from facesearch.errors import InvalidParameterError

__all__ = ["MilvusAddress", "Stored"]

_HINT: Final = "an address such as milvus://user:password@host:19530/database?vectors=sq8"
_PORT: Final = 19530
_OPTIONS: Final = {"vectors": ("flat", "sq8"), "tls": ("true", "false")}


class Stored(Enum):
    """How Milvus holds vectors in memory."""

    FLAT = "FLAT"
    SQ8 = "IVF_SQ8"


@attrs.frozen
class MilvusAddress:
    """The address of a Milvus server.

    Attributes
    ----------
    uri
        Protocol, host and port, as pymilvus takes them.
    user, password
        The login; no text where the server asks for none.
    database
        The database of Milvus, ``default`` if the address names none.
    stored
        How the vectors are held: ``?vectors=flat``, the default, or ``?vectors=sq8``.
    name
        The address for messages, without the password.

    Examples
    --------
    >>> address = MilvusAddress.of("milvus://app:hunter2@index.local/faces?vectors=sq8")
    >>> address.name, address.uri, address.database, address.stored.value
    ('milvus://app@index.local:19530/faces', 'http://index.local:19530', 'faces', 'IVF_SQ8')
    """

    uri: str
    user: str
    password: str = field(repr=False)
    database: str
    stored: Stored
    name: str

    @classmethod
    def of(cls, url: Any) -> "MilvusAddress":
        """Parse a URL.

        Raises
        ------
        InvalidParameterError
            If it is no such URL. The message quotes nothing of it, since it may contain a password.
        """
        if not isinstance(url, str) or not url.startswith("milvus://"):
            raise InvalidParameterError(f"index: expected {_HINT}, got another value")
        try:
            parts = urlsplit(url)
            options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
            host, port = parts.hostname, parts.port or _PORT
        except ValueError:
            raise InvalidParameterError(f"index: expected {_HINT}, got a URL that can't be parsed") from None
        if not host or "\0" in url or parts.fragment:
            raise InvalidParameterError(f"index: expected {_HINT}, got no host, or more than an address")
        chosen = dict(options)
        if len(chosen) < len(options) or any(value not in _OPTIONS.get(key, ()) for key, value in options):
            known = ", ".join(f"{key}={'|'.join(values)}" for key, values in _OPTIONS.items())
            raise InvalidParameterError(f"index: expected the options of the address to be among {known}, each once")
        user = unquote(parts.username or "")
        host = f"[{host}]" if ":" in host else host
        database = unquote(parts.path.strip("/")) or "default"
        return cls(
            uri=f"{'https' if chosen.get('tls') == 'true' else 'http'}://{host}:{port}",
            user=user,
            password=unquote(parts.password or ""),
            database=database,
            stored=Stored.SQ8 if chosen.get("vectors") == "sq8" else Stored.FLAT,
            name=f"milvus://{user}{'@' if user else ''}{host}:{port}/{database}",
        )
