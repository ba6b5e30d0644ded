"""The operations as methods, with the names, keyword arguments and return values of boto3.

Source: Amazon Rekognition API reference, which documents each parameter under the operation's name.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from facesearch.rekognition.account import Answer

__all__ = ["Methods"]


class Methods(ABC):
    """A method for each operation; `facesearch.rekognition.service.Rekognition` implements `call`."""

    @abstractmethod
    def call(self, operation: str, parameters: Mapping[str, Any]) -> Answer:
        """Execute an operation by its name; a parameter that is ``None`` counts as absent."""

    def _call(self, operation: str, arguments: Mapping[str, Any]) -> Answer:
        """Execute an operation with the arguments of its method: the method's ``locals()``."""
        return self.call(operation, {name: value for name, value in arguments.items() if name != "self"})

    # ---------------------------------------------------------------- collections
    def create_collection(self, *, CollectionId: str, Tags: Mapping[str, str] | None = None) -> Answer:
        """Create a collection.

        Returns
        -------
        dict
            ``StatusCode`` 200, ``CollectionArn``, ``FaceModelVersion``.

        Raises
        ------
        RekognitionError
            ResourceAlreadyExistsException, ServiceQuotaExceededException.
        """
        return self._call("CreateCollection", locals())

    def describe_collection(self, *, CollectionId: str) -> Answer:
        """Return the number of faces and users of a collection, its face model and its creation time.

        Returns
        -------
        dict
            ``FaceCount``, ``UserCount``, ``FaceModelVersion``, ``CollectionARN``, ``CreationTimestamp``, an aware datetime.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException.
        """
        return self._call("DescribeCollection", locals())

    def list_collections(self, *, NextToken: str | None = None, MaxResults: int | None = None) -> Answer:
        """List the collections, sorted by id.

        Returns
        -------
        dict
            ``CollectionIds`` and ``FaceModelVersions`` in the same order; ``NextToken`` if there are more.

        Raises
        ------
        RekognitionError
            InvalidPaginationTokenException.
        """
        return self._call("ListCollections", locals())

    def delete_collection(self, *, CollectionId: str) -> Answer:
        """Delete a collection with its faces and users.

        Returns
        -------
        dict
            ``StatusCode`` 200.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException.
        """
        return self._call("DeleteCollection", locals())

    def tag_resource(self, *, ResourceArn: str, Tags: Mapping[str, str]) -> Answer:
        """Add tags to a collection.

        Returns
        -------
        dict
            Empty; a collection has at most 200 tags.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, ServiceQuotaExceededException.
        """
        return self._call("TagResource", locals())

    def untag_resource(self, *, ResourceArn: str, TagKeys: Sequence[str]) -> Answer:
        """Remove tags from a collection.

        Returns
        -------
        dict
            Empty; unknown keys are ignored.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException.
        """
        return self._call("UntagResource", locals())

    def list_tags_for_resource(self, *, ResourceArn: str) -> Answer:
        """Return the tags of a collection.

        Returns
        -------
        dict
            ``Tags``.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException.
        """
        return self._call("ListTagsForResource", locals())

    # ---------------------------------------------------------------- faces

    def index_faces(
        self,
        *,
        CollectionId: str,
        Image: Mapping[str, Any],
        ExternalImageId: str | None = None,
        DetectionAttributes: Sequence[str] | None = None,
        MaxFaces: int | None = None,
        QualityFilter: str | None = None,
    ) -> Answer:
        """Detect the faces in a photo and add them to a collection.

        Returns
        -------
        dict
            ``FaceRecords``, largest face first, ``UnindexedFaces`` with the reasons, ``FaceModelVersion``. Indexing a photo again
            with the same ExternalImageId adds nothing.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, ServiceQuotaExceededException, and the errors for images.
        """
        return self._call("IndexFaces", locals())

    def list_faces(
        self,
        *,
        CollectionId: str,
        NextToken: str | None = None,
        MaxResults: int | None = None,
        UserId: str | None = None,
        FaceIds: Sequence[str] | None = None,
    ) -> Answer:
        """List the faces of a collection, or of one of its users, sorted by face id.

        Returns
        -------
        dict
            ``Faces``, ``FaceModelVersion``; ``NextToken`` if there are more.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, InvalidPaginationTokenException.
        """
        return self._call("ListFaces", locals())

    def delete_faces(self, *, CollectionId: str, FaceIds: Sequence[str]) -> Answer:
        """Delete unassociated faces from a collection.

        Returns
        -------
        dict
            ``DeletedFaces``, and ``UnsuccessfulFaceDeletions`` with the reasons: faces that belong to a user are not deleted.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException.
        """
        return self._call("DeleteFaces", locals())

    def search_faces(
        self, *, CollectionId: str, FaceId: str, MaxFaces: int | None = None, FaceMatchThreshold: float | None = None
    ) -> Answer:
        """Search for the faces that are most similar to a face of the collection.

        Returns
        -------
        dict
            ``SearchedFaceId``, ``FaceMatches`` without that face, most similar first, ``FaceModelVersion``. Thresholds are percent, 0-100.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, InvalidParameterException.
        """
        return self._call("SearchFaces", locals())

    def search_faces_by_image(
        self,
        *,
        CollectionId: str,
        Image: Mapping[str, Any],
        MaxFaces: int | None = None,
        FaceMatchThreshold: float | None = None,
        QualityFilter: str | None = None,
    ) -> Answer:
        """Search for the faces that are most similar to the largest face of a photo.

        Returns
        -------
        dict
            ``SearchedFaceBoundingBox``, ``SearchedFaceConfidence``, ``FaceMatches``, ``FaceModelVersion``.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, InvalidParameterException if no face is detected, and the errors for images.
        """
        return self._call("SearchFacesByImage", locals())

    # ---------------------------------------------------------------- users

    def create_user(self, *, CollectionId: str, UserId: str, ClientRequestToken: str | None = None) -> Answer:
        """Create a user without faces.

        Returns
        -------
        dict
            Empty.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, ConflictException, IdempotentParameterMismatchException.
        """
        return self._call("CreateUser", locals())

    def delete_user(self, *, CollectionId: str, UserId: str, ClientRequestToken: str | None = None) -> Answer:
        """Delete a user; its faces stay in the collection, unassociated.

        Returns
        -------
        dict
            Empty.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, IdempotentParameterMismatchException.
        """
        return self._call("DeleteUser", locals())

    def list_users(self, *, CollectionId: str, MaxResults: int | None = None, NextToken: str | None = None) -> Answer:
        """List the users of a collection.

        Returns
        -------
        dict
            ``Users``; ``NextToken`` if there are more.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, InvalidPaginationTokenException.
        """
        return self._call("ListUsers", locals())

    def associate_faces(
        self,
        *,
        CollectionId: str,
        UserId: str,
        FaceIds: Sequence[str],
        UserMatchThreshold: float | None = None,
        ClientRequestToken: str | None = None,
    ) -> Answer:
        """Associate faces of a collection with a user.

        Returns
        -------
        dict
            ``AssociatedFaces``, ``UnsuccessfulFaceAssociations`` with the reasons, ``UserStatus``. UserMatchThreshold, 75 by
            default, applies if the user has faces already.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, ServiceQuotaExceededException beyond 100 faces, IdempotentParameterMismatchException.
        """
        return self._call("AssociateFaces", locals())

    def disassociate_faces(
        self, *, CollectionId: str, UserId: str, FaceIds: Sequence[str], ClientRequestToken: str | None = None
    ) -> Answer:
        """Disassociate faces from a user; they stay in the collection.

        Returns
        -------
        dict
            ``DisassociatedFaces``, ``UnsuccessfulFaceDisassociations`` with the reasons, ``UserStatus``.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, IdempotentParameterMismatchException.
        """
        return self._call("DisassociateFaces", locals())

    def search_users(
        self,
        *,
        CollectionId: str,
        UserId: str | None = None,
        FaceId: str | None = None,
        UserMatchThreshold: float | None = None,
        MaxUsers: int | None = None,
    ) -> Answer:
        """Search for the users that are most similar to a user, or to a face of the collection.

        Returns
        -------
        dict
            ``UserMatches``, most similar first, ``FaceModelVersion``, and ``SearchedUser``, which is not among the matches, or ``SearchedFace``.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, InvalidParameterException.
        """
        return self._call("SearchUsers", locals())

    def search_users_by_image(
        self,
        *,
        CollectionId: str,
        Image: Mapping[str, Any],
        UserMatchThreshold: float | None = None,
        MaxUsers: int | None = None,
        QualityFilter: str | None = None,
    ) -> Answer:
        """Search for the users that are most similar to the largest face of a photo.

        Returns
        -------
        dict
            ``UserMatches``, most similar first, ``FaceModelVersion``, ``UnsearchedFaces`` with the reasons, and ``SearchedFace`` if a face
            was detected. No match is not an error.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, and the errors for images.
        """
        return self._call("SearchUsersByImage", locals())

    # ---------------------------------------------------------------- photos alone

    def detect_faces(self, *, Image: Mapping[str, Any], Attributes: Sequence[str] | None = None) -> Answer:
        """Detect the faces in a photo.

        Returns
        -------
        dict
            ``FaceDetails``, largest first, at most 100.

        Raises
        ------
        RekognitionError
            The errors for images.
        """
        return self._call("DetectFaces", locals())

    def compare_faces(
        self,
        *,
        SourceImage: Mapping[str, Any],
        TargetImage: Mapping[str, Any],
        SimilarityThreshold: float | None = None,
        QualityFilter: str | None = None,
    ) -> Answer:
        """Compare the largest face of one photo with each face of another photo.

        Returns
        -------
        dict
            ``SourceImageFace``, ``FaceMatches``, most similar first, and ``UnmatchedFaces``.

        Raises
        ------
        RekognitionError
            InvalidParameterException if no face is detected in a photo, and the errors for images.
        """
        return self._call("CompareFaces", locals())
