"""The review page of ``facesearch review``: a web page on this machine, to see who is in a collection and to put it right."""

from facesearch.errors import MissingExtraError

try:
    import jinja2  # noqa: F401  # all four are imported here, so that any module of this folder names the extra
    import python_multipart  # noqa: F401  # likewise
    import starlette  # noqa: F401  # likewise
    import uvicorn  # noqa: F401  # likewise
except ImportError as _error:
    raise MissingExtraError.of("facesearch.review", str(_error.name).partition(".")[0], "review") from _error
