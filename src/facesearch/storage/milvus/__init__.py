"""An index of a collection's vectors in Milvus, derived from the file or server that keeps the collection."""

from facesearch.errors import MissingExtraError

try:
    import pymilvus  # noqa: F401  # imported here, so that any module of this folder names the extra
except ImportError as _error:
    raise MissingExtraError.of("a milvus:// address", "pymilvus", "milvus") from _error
