"""facesearch: who is in this photo? Amazon Rekognition's SearchUsersByImage, answered on your own machine.

The main job in four lines::

    import facesearch as fs

    staff = fs.Collection("staff")
    staff.enroll("ada", ["ada-1.jpg", "ada-2.jpg", "ada-3.jpg"])
    response = fs.search_users_by_image(staff, "party.jpg")
    fs.to_aws(response)  # AWS's own dict

Importing this package loads no model and reads no data; names are looked up in their modules when they are first used.
"""

import lazy_loader

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # the names are listed in __init__.pyi
