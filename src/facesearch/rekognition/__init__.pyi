# The list of this package's public names: lazy_loader reads it at run time, type checkers read it as it is.

from .boto3_client import answering as answering, client as client
from .exceptions import FAULTS as FAULTS, RekognitionError as RekognitionError
from .s3_objects import ObjectStore as ObjectStore, S3Client as S3Client, S3Folder as S3Folder
from .server_process import serving as serving
from .service import ANSWERED as ANSWERED, Rekognition as Rekognition
