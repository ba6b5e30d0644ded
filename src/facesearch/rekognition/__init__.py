"""A local service with Amazon Rekognition's operations on collections and faces; it matches real faces.

The service has three interfaces: `Rekognition` with Python methods; `client` and `answering` for stock boto3 clients in the same
process (``facesearch[aws]``); ``facesearch serve`` and `facesearch.rekognition.http.server` over HTTP (``facesearch[server]``).
docs/rekognition.md lists the supported operations and the differences from AWS.
"""

import lazy_loader

# Imported on first use: pytest imports this package at every start, since it contains the pytest plugin.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # the names are listed in __init__.pyi
