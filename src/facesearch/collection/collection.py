"""A collection of people: their faces, their vectors, and the search among them.

Nothing of a photo is kept but its faces' vectors and where they were, and small pictures of them only if asked for. A user
has one vector, made of its faces; it changes with them and with nothing else, so adding a face and removing it again leaves
the user as it was.
"""

from facesearch.collection.changes import MAX_FACES_PER_REQUEST, TOKEN_SECONDS, CollectionChanges
from facesearch.collection.contents import CollectionContents
from facesearch.collection.files import CollectionFiles
from facesearch.collection.photos import CollectionPhotos
from facesearch.collection.search import MAX_FACES, MAX_USERS, CollectionSearch, check_search_options
from facesearch.enrolment.enroller import MAX_FACES_PER_USER

__all__ = [
    "MAX_FACES",
    "MAX_FACES_PER_REQUEST",
    "MAX_FACES_PER_USER",
    "MAX_USERS",
    "TOKEN_SECONDS",
    "Collection",
    "check_search_options",
]


class Collection(CollectionFiles, CollectionContents, CollectionPhotos, CollectionChanges, CollectionSearch):
    """People to search among, in memory.

    Parameters
    ----------
    collection_id
        1-255 characters of ``[a-zA-Z0-9_.-]``.
    face_model
        What makes the vectors; other models' are refused. By default the analyzer's, or else dlib's ResNet.
    analyzer
        What finds and embeds faces. By default one for the process is loaded when a picture is first given; a collection
        that only sees embeddings never loads any.
    calibration
        What percentages mean for the face model; by default the analyzer's, or what comes with the library.
    thumbnails
        Whether to keep a small picture of each face that comes from a photo, 112 x 112 pixels and some 3 kB, so that a
        notebook and `facesearch.plotting` can show who was found. It goes with its face. Without it no picture is kept.

    Raises
    ------
    CalibrationError
        If none is given and none comes with the library for this model, or if it is another model's.

    Notes
    -----
    May be used from several threads. Every method either does all it was asked or, where it raises, nothing.

    Examples
    --------
    >>> import numpy as np
    >>> staff = Collection("staff")
    >>> face_id = staff.add_embedding("ada", np.full(128, 0.1))
    >>> [match.user.user_id for match in staff.search_embedding(np.full(128, 0.11))]
    ['ada']
    """
