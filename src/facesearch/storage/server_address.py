"""The address of a PostgreSQL server: a connection string of libpq as a URL, with the schema of the tables."""

import re
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import attrs
from attrs import field

from facesearch.errors import InvalidParameterError

__all__ = ["Address", "is_address"]

_SCHEMES: Final = ("postgresql", "postgres")
_SCHEMA: Final = "facesearch"
_HINT: Final = "an address such as postgresql://user@host:5432/database"


def is_address(text: str) -> bool:
    """Return whether a text is an address of a server, rather than the path of a file."""
    return text.startswith(tuple(f"{scheme}://" for scheme in _SCHEMES))


@attrs.frozen
class Address:
    """The address of a server.

    Attributes
    ----------
    url
        As given; it may contain a password.
    conninfo
        The connection string for libpq: *url* without ``schema``.
    schema
        The schema of the tables: ``?schema=`` of the URL, by default ``facesearch``.
    name
        User, host and database, for messages: without the password and the other parameters.
    secret
        The password in the URL, or no text.

    Examples
    --------
    >>> address = Address.of("postgresql://app:hunter2@db.local/people?sslmode=require&schema=faces")
    >>> address.name, address.schema
    ('postgresql://app@db.local/people', 'faces')
    >>> address.conninfo
    'postgresql://app:hunter2@db.local/people?sslmode=require'
    """

    url: str = field(repr=False)
    conninfo: str = field(repr=False)
    schema: str
    name: str
    secret: str = field(repr=False)

    @classmethod
    def of(cls, url: str) -> "Address":
        """Parse a URL.

        Raises
        ------
        InvalidParameterError
            If it is no such URL. The message quotes nothing of it, since it may contain a password.
        """
        if not is_address(url) or "\0" in url:
            raise InvalidParameterError(f"path: expected {_HINT}, got another text")
        try:
            parts = urlsplit(url)
            query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError:
            raise InvalidParameterError(f"path: expected {_HINT}, got a URL that can't be parsed") from None
        schemas = [value for key, value in query if key == "schema"]
        schema = schemas[0] if schemas else _SCHEMA
        if len(schemas) > 1 or not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema) or schema.startswith("pg_"):
            raise InvalidParameterError(
                "path: expected the schema in the address to be 1 to 63 characters of [a-z0-9_], "
                "not to begin with a digit or pg_, and to be given once"
            )
        others = [(key, value) for key, value in query if key != "schema"]
        login, at, hosts = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        secrets = [password, *(value for key, value in others if key in {"password", "sslpassword"})]
        return cls(
            url=url,
            conninfo=f"{parts.scheme}://{parts.netloc}{parts.path}{'?' if others else ''}{urlencode(others, quote_via=quote)}",
            schema=schema,
            name=f"{parts.scheme}://{user}{at}{hosts}{parts.path}",
            secret=next((secret for secret in secrets if secret), ""),
        )
