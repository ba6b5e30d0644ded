"""A collection of people: users, faces, vectors, and the search among them.

Of a photo only the vectors and bounding boxes of its faces are stored, and thumbnails on request. A user has one vector, computed from
its faces and nothing else, so adding a face and removing it again leaves the user unchanged.
"""

from facesearch.collection.changes import CollectionChanges
from facesearch.collection.contents import CollectionContents
from facesearch.collection.files import CollectionFiles
from facesearch.collection.grouping import CollectionGrouping
from facesearch.collection.photos import CollectionPhotos
from facesearch.collection.review import CollectionReview
from facesearch.collection.search import CollectionSearch
from facesearch.enrolment.judging import MAX_FACES_PER_USER

__all__ = ["MAX_FACES_PER_USER", "Collection"]


class Collection(
    CollectionFiles,
    CollectionContents,
    CollectionPhotos,
    CollectionChanges,
    CollectionReview,
    CollectionSearch,
    CollectionGrouping,
):
    """A collection of people in memory; `open` and `create` return one in a file.

    Parameters
    ----------
    collection_id
        1-255 characters of ``[a-zA-Z0-9_.-]``.
    face_model
        The face model of the vectors; those of other models are refused. By default the analyzer's, or else dlib's ResNet.
    analyzer
        Detects and embeds faces. By default, one analyzer per process is loaded for the first photo; a collection that only gets
        embeddings loads none.
    calibration
        Converts distances to percentages for the face model; by default the analyzer's, or the one that comes with the library.
    thumbnails
        Whether to store a thumbnail of each face from a photo, 112 x 112 pixels and about 3 kB, so that notebooks and
        `facesearch.plotting` can show the users found. It is deleted with its face. Without thumbnails no image is stored.
    store
        A store of your own instead of the one in memory: a subclass of `facesearch.Store`, or a function that returns one. It is called with the
        length of the vectors and a function from a user's number of faces to the offset of squared distances from it; see docs/collections.md.

    Raises
    ------
    CalibrationError
        If no calibration is passed and the library has none for this model, or if it is for another model.
    InvalidParameterError
        If an argument is wrong, such as a store without a method that `facesearch.Store` has.

    Notes
    -----
    Thread-safe. A method that raises changes nothing.

    Examples
    --------
    >>> import numpy as np
    >>> staff = Collection("staff")
    >>> face_id = staff.add_embedding("ada", np.full(128, 0.1))
    >>> [match.user.user_id for match in staff.search_embedding(np.full(128, 0.11))]
    ['ada']
    """
