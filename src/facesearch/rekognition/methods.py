"""The operations as methods, with boto3's names, keyword arguments and answers.

Source: Amazon Rekognition API reference, which tells of each parameter under the operation's name.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from facesearch.rekognition.account import Answer

__all__ = ["Methods"]


class Methods(ABC):
    """A method for each operation; see `facesearch.rekognition.service.Rekognition`."""

    @abstractmethod
    def call(self, operation: str, parameters: Mapping[str, Any]) -> Answer:
        """Answer an operation by its name."""

    def _given(self, operation: str, parameters: Mapping[str, Any]) -> Answer:
        """Answer with those parameters that were given."""
        return self.call(operation, {name: value for name, value in parameters.items() if value is not None})

    # ---------------------------------------------------------------- collections
    def create_collection(self, *, CollectionId: str, Tags: Mapping[str, str] | None = None) -> Answer:
        """Make a collection.

        Returns
        -------
        dict
            ``StatusCode`` 200, ``CollectionArn``, ``FaceModelVersion``.

        Raises
        ------
        RekognitionError
            ResourceAlreadyExistsException, ServiceQuotaExceededException.
        """
        return self._given("CreateCollection", {"CollectionId": CollectionId, "Tags": Tags})

    def describe_collection(self, *, CollectionId: str) -> Answer:
        """Tell how many faces and users a collection has, its face model, and since when it is there.

        Returns
        -------
        dict
            ``FaceCount``, ``UserCount``, ``FaceModelVersion``, ``CollectionARN``, ``CreationTimestamp``, an aware datetime.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException.
        """
        return self._given("DescribeCollection", {"CollectionId": CollectionId})

    def list_collections(self, *, NextToken: str | None = None, MaxResults: int | None = None) -> Answer:
        """List the collections, by id.

        Returns
        -------
        dict
            ``CollectionIds`` and, in their order, ``FaceModelVersions``; ``NextToken`` where there are more.

        Raises
        ------
        RekognitionError
            InvalidPaginationTokenException.
        """
        return self._given("ListCollections", {"NextToken": NextToken, "MaxResults": MaxResults})

    def delete_collection(self, *, CollectionId: str) -> Answer:
        """Delete a collection, its faces and its users.

        Returns
        -------
        dict
            ``StatusCode`` 200.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException.
        """
        return self._given("DeleteCollection", {"CollectionId": CollectionId})

    def tag_resource(self, *, ResourceArn: str, Tags: Mapping[str, str]) -> Answer:
        """Add tags to a collection.

        Returns
        -------
        dict
            Nothing; a collection has at most 200 tags.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, ServiceQuotaExceededException.
        """
        return self._given("TagResource", {"ResourceArn": ResourceArn, "Tags": Tags})

    def untag_resource(self, *, ResourceArn: str, TagKeys: Sequence[str]) -> Answer:
        """Remove tags from a collection.

        Returns
        -------
        dict
            Nothing; keys that are not there are passed over.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException.
        """
        return self._given("UntagResource", {"ResourceArn": ResourceArn, "TagKeys": TagKeys})

    def list_tags_for_resource(self, *, ResourceArn: str) -> Answer:
        """Tell a collection's tags.

        Returns
        -------
        dict
            ``Tags``.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException.
        """
        return self._given("ListTagsForResource", {"ResourceArn": ResourceArn})

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
        """Find the faces in a photo and add them to a collection.

        Returns
        -------
        dict
            ``FaceRecords``, largest first, ``UnindexedFaces`` with the reasons, ``FaceModelVersion``. The same photo under the same
            ExternalImageId adds nothing.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, ServiceQuotaExceededException, and those of pictures.
        """
        return self._given(
            "IndexFaces",
            {
                "CollectionId": CollectionId,
                "Image": Image,
                "ExternalImageId": ExternalImageId,
                "DetectionAttributes": DetectionAttributes,
                "MaxFaces": MaxFaces,
                "QualityFilter": QualityFilter,
            },
        )

    def list_faces(
        self,
        *,
        CollectionId: str,
        NextToken: str | None = None,
        MaxResults: int | None = None,
        UserId: str | None = None,
        FaceIds: Sequence[str] | None = None,
    ) -> Answer:
        """List the faces of a collection, or of one of its users, by face id.

        Returns
        -------
        dict
            ``Faces`` by face id, ``FaceModelVersion``; ``NextToken`` where there are more.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, InvalidPaginationTokenException.
        """
        return self._given(
            "ListFaces",
            {
                "CollectionId": CollectionId,
                "NextToken": NextToken,
                "MaxResults": MaxResults,
                "UserId": UserId,
                "FaceIds": FaceIds,
            },
        )

    def delete_faces(self, *, CollectionId: str, FaceIds: Sequence[str]) -> Answer:
        """Remove faces from a collection; not those of users.

        Returns
        -------
        dict
            ``DeletedFaces``, and ``UnsuccessfulFaceDeletions`` with the reasons: faces of users are not deleted.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException.
        """
        return self._given("DeleteFaces", {"CollectionId": CollectionId, "FaceIds": FaceIds})

    def search_faces(
        self, *, CollectionId: str, FaceId: str, MaxFaces: int | None = None, FaceMatchThreshold: float | None = None
    ) -> Answer:
        """Find the faces that are most similar to a face of the collection.

        Returns
        -------
        dict
            ``SearchedFaceId``, ``FaceMatches`` without it, most similar first, ``FaceModelVersion``. Thresholds are percent, 0-100.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, InvalidParameterException.
        """
        return self._given(
            "SearchFaces",
            {
                "CollectionId": CollectionId,
                "FaceId": FaceId,
                "MaxFaces": MaxFaces,
                "FaceMatchThreshold": FaceMatchThreshold,
            },
        )

    def search_faces_by_image(
        self,
        *,
        CollectionId: str,
        Image: Mapping[str, Any],
        MaxFaces: int | None = None,
        FaceMatchThreshold: float | None = None,
        QualityFilter: str | None = None,
    ) -> Answer:
        """Find the faces that are most similar to the largest face of a photo.

        Returns
        -------
        dict
            ``SearchedFaceBoundingBox``, ``SearchedFaceConfidence``, ``FaceMatches``, ``FaceModelVersion``.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, InvalidParameterException where no face is found, and those of pictures.
        """
        return self._given(
            "SearchFacesByImage",
            {
                "CollectionId": CollectionId,
                "Image": Image,
                "MaxFaces": MaxFaces,
                "FaceMatchThreshold": FaceMatchThreshold,
                "QualityFilter": QualityFilter,
            },
        )

    # ---------------------------------------------------------------- users

    def create_user(self, *, CollectionId: str, UserId: str, ClientRequestToken: str | None = None) -> Answer:
        """Make a user, without faces.

        Returns
        -------
        dict
            Nothing.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, ConflictException, IdempotentParameterMismatchException.
        """
        return self._given(
            "CreateUser", {"CollectionId": CollectionId, "UserId": UserId, "ClientRequestToken": ClientRequestToken}
        )

    def delete_user(self, *, CollectionId: str, UserId: str, ClientRequestToken: str | None = None) -> Answer:
        """Remove a user; the faces stay in the collection.

        Returns
        -------
        dict
            Nothing.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, IdempotentParameterMismatchException.
        """
        return self._given(
            "DeleteUser", {"CollectionId": CollectionId, "UserId": UserId, "ClientRequestToken": ClientRequestToken}
        )

    def list_users(self, *, CollectionId: str, MaxResults: int | None = None, NextToken: str | None = None) -> Answer:
        """List the users of a collection.

        Returns
        -------
        dict
            ``Users``; ``NextToken`` where there are more.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, InvalidPaginationTokenException.
        """
        return self._given(
            "ListUsers", {"CollectionId": CollectionId, "MaxResults": MaxResults, "NextToken": NextToken}
        )

    def associate_faces(
        self,
        *,
        CollectionId: str,
        UserId: str,
        FaceIds: Sequence[str],
        UserMatchThreshold: float | None = None,
        ClientRequestToken: str | None = None,
    ) -> Answer:
        """Make faces of a collection a user's.

        Returns
        -------
        dict
            ``AssociatedFaces``, ``UnsuccessfulFaceAssociations`` with the reasons, ``UserStatus``. UserMatchThreshold, 75 by default, holds
            where the user has faces already.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, ServiceQuotaExceededException beyond 100 faces, IdempotentParameterMismatchException.
        """
        return self._given(
            "AssociateFaces",
            {
                "CollectionId": CollectionId,
                "UserId": UserId,
                "FaceIds": FaceIds,
                "UserMatchThreshold": UserMatchThreshold,
                "ClientRequestToken": ClientRequestToken,
            },
        )

    def disassociate_faces(
        self, *, CollectionId: str, UserId: str, FaceIds: Sequence[str], ClientRequestToken: str | None = None
    ) -> Answer:
        """Take faces from a user; they stay in the collection.

        Returns
        -------
        dict
            ``DisassociatedFaces``, ``UnsuccessfulFaceDisassociations`` with the reasons, ``UserStatus``.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, IdempotentParameterMismatchException.
        """
        return self._given(
            "DisassociateFaces",
            {
                "CollectionId": CollectionId,
                "UserId": UserId,
                "FaceIds": FaceIds,
                "ClientRequestToken": ClientRequestToken,
            },
        )

    def search_users(
        self,
        *,
        CollectionId: str,
        UserId: str | None = None,
        FaceId: str | None = None,
        UserMatchThreshold: float | None = None,
        MaxUsers: int | None = None,
    ) -> Answer:
        """Find the users that are most similar to a user, or to a face of the collection.

        Returns
        -------
        dict
            ``UserMatches``, most similar first, ``FaceModelVersion``, and ``SearchedUser``, who is not among them, or ``SearchedFace``.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, InvalidParameterException.
        """
        return self._given(
            "SearchUsers",
            {
                "CollectionId": CollectionId,
                "UserId": UserId,
                "FaceId": FaceId,
                "UserMatchThreshold": UserMatchThreshold,
                "MaxUsers": MaxUsers,
            },
        )

    def search_users_by_image(
        self,
        *,
        CollectionId: str,
        Image: Mapping[str, Any],
        UserMatchThreshold: float | None = None,
        MaxUsers: int | None = None,
        QualityFilter: str | None = None,
    ) -> Answer:
        """Tell who the largest face of a photo is.

        Returns
        -------
        dict
            ``UserMatches``, most similar first, ``FaceModelVersion``, ``UnsearchedFaces`` with the reasons, and ``SearchedFace`` where a face
            was found. Nobody found is an answer.

        Raises
        ------
        RekognitionError
            ResourceNotFoundException, and those of pictures.
        """
        return self._given(
            "SearchUsersByImage",
            {
                "CollectionId": CollectionId,
                "Image": Image,
                "UserMatchThreshold": UserMatchThreshold,
                "MaxUsers": MaxUsers,
                "QualityFilter": QualityFilter,
            },
        )

    # ---------------------------------------------------------------- photos alone

    def detect_faces(self, *, Image: Mapping[str, Any], Attributes: Sequence[str] | None = None) -> Answer:
        """Tell what faces a photo shows.

        Returns
        -------
        dict
            ``FaceDetails``, largest first, at most 100.

        Raises
        ------
        RekognitionError
            Those of pictures.
        """
        return self._given("DetectFaces", {"Image": Image, "Attributes": Attributes})

    def compare_faces(
        self,
        *,
        SourceImage: Mapping[str, Any],
        TargetImage: Mapping[str, Any],
        SimilarityThreshold: float | None = None,
        QualityFilter: str | None = None,
    ) -> Answer:
        """Tell how similar the largest face of one photo is to each face of another.

        Returns
        -------
        dict
            ``SourceImageFace``, ``FaceMatches``, most similar first, and ``UnmatchedFaces``.

        Raises
        ------
        RekognitionError
            InvalidParameterException where a photo shows no face, and those of pictures.
        """
        return self._given(
            "CompareFaces",
            {
                "SourceImage": SourceImage,
                "TargetImage": TargetImage,
                "SimilarityThreshold": SimilarityThreshold,
                "QualityFilter": QualityFilter,
            },
        )
