"""An attendance list, written for Amazon Rekognition, run without it.

`Attendance` is a class as in production code: it uses boto3 only, and does not know this library. Below it runs three times: on a
client of this library, answered in this process; on an existing boto3 client, answered in this process for a while; and over HTTP,
where an environment variable has the address. Needs `pip install facesearch[aws,server,demo]`.

    python examples/from_boto3.py
"""

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import matplotlib as mpl
import numpy as np
import skimage.data
import uvicorn
from PIL import Image, ImageOps

from facesearch.rekognition import Rekognition, answering, client
from facesearch.rekognition.http.server import application

# ---------------------------------------------------------------- code for AWS


class Attendance:
    """An attendance list on a Rekognition client; any client with boto3's methods works."""

    def __init__(self, rekognition: Any, collection_id: str) -> None:
        self.rekognition, self.collection = rekognition, {"CollectionId": collection_id}
        with suppress(rekognition.exceptions.ResourceAlreadyExistsException):
            rekognition.create_collection(**self.collection)

    def enrol(self, user_id: str, *photos: bytes) -> int:
        """Create a user from the largest face of each photo; return the number of associated faces."""
        face_ids = []
        for number, photo in enumerate(photos):
            indexed = self.rekognition.index_faces(
                **self.collection, Image={"Bytes": photo}, ExternalImageId=f"{user_id}-{number}", MaxFaces=1
            )
            face_ids += [record["Face"]["FaceId"] for record in indexed["FaceRecords"]]
        self.rekognition.create_user(**self.collection, UserId=user_id)
        answer = self.rekognition.associate_faces(**self.collection, UserId=user_id, FaceIds=face_ids)
        for refused in answer["UnsuccessfulFaceAssociations"]:
            print(f"  {user_id}: a photo was refused, {refused['Reasons']}")
        return len(answer["AssociatedFaces"])

    def who(self, photo: bytes) -> list[str]:
        """Return the users on a photo: detect each face, crop it, search it."""
        picture, names = Image.open(io.BytesIO(photo)), []
        for face in self.rekognition.detect_faces(Image={"Bytes": photo})["FaceDetails"]:
            box = face["BoundingBox"]
            left, top = box["Left"] * picture.width, box["Top"] * picture.height
            cut = picture.crop(
                (
                    int(left),
                    int(top),
                    int(left + box["Width"] * picture.width),
                    int(top + box["Height"] * picture.height),
                )
            )
            found = self.rekognition.search_users_by_image(
                **self.collection, Image={"Bytes": as_jpeg(cut)}, UserMatchThreshold=90, MaxUsers=1
            )
            names += [f"{each['User']['UserId']} {each['Similarity']:.1f}" for each in found["UserMatches"]]
        return names

    def everybody(self) -> list[str]:
        """List all users, page by page."""
        pages = self.rekognition.get_paginator("list_users").paginate(**self.collection)
        return [user["UserId"] for page in pages for user in page["Users"]]


# ---------------------------------------------------------------- photographs


def as_jpeg(picture: Image.Image) -> bytes:
    """Encode a picture as JPEG."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=95)
    return file.getvalue()


astronaut = Image.fromarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]  # scikit-image has no annotations
admiral = Image.open(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB").resize((437, 512))
party = Image.fromarray(np.hstack([np.asarray(astronaut), np.asarray(admiral)]))


def an_evening(rekognition: Any) -> list[str]:
    """Enrol two people, and search the photo of the evening."""
    attendance = Attendance(rekognition, "evening-school")
    attendance.enrol("eileen", as_jpeg(ImageOps.mirror(astronaut)), as_jpeg(astronaut.rotate(8)))
    attendance.enrol("grace", as_jpeg(ImageOps.mirror(admiral)))
    came = attendance.who(as_jpeg(party))
    print(f"  {attendance.everybody()} were expected, {came} came")
    return came


# ---------------------------------------------------------------- three ways to run it


@contextmanager
def served(service: Rekognition) -> Iterator[str]:
    """Serve in a thread, as `facesearch serve` does in a process; yield the address."""
    server = uvicorn.Server(uvicorn.Config(application(service), port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


# Every AWS SDK requires these; facesearch ignores them.
OPTIONS: Any = {"region_name": "eu-west-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}

print("a client of facesearch, answered in this process:")
first = an_evening(client())

print("an existing boto3 client, answered in this process:")
existing = boto3.client("rekognition", **OPTIONS)
with answering(existing):
    second = an_evening(existing)

print("a boto3 client that an environment variable directs to a server:")
with Rekognition() as service, served(service) as address:
    os.environ["AWS_ENDPOINT_URL_REKOGNITION"] = address
    third = an_evening(boto3.client("rekognition", **OPTIONS))

assert first == second == third
assert {name.split()[0] for name in first} == {"eileen", "grace"}
print("three times the same")
