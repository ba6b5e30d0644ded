"""Serve Rekognition's operations over HTTP, with AWS signatures."""

from facesearch.errors import MissingExtraError

try:
    import starlette  # noqa: F401  # both are imported here, so that any module of this folder names the extra
    import uvicorn  # noqa: F401  # likewise
except ImportError as _error:
    raise MissingExtraError.of(
        "facesearch.rekognition.http.server", str(_error.name).partition(".")[0], "server"
    ) from _error
