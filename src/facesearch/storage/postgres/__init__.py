"""Collections in PostgreSQL with pgvector."""

from facesearch.errors import MissingExtraError

try:
    import psycopg  # noqa: F401  # imported here, so that any module of this folder names the extra
except ImportError as _error:
    raise MissingExtraError.of("a postgresql:// address", "psycopg", "postgres") from _error
