# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
# ruff: noqa: B018  # a cell ends with the value that a notebook shows

# %% [markdown]
# # Gallery
#
# Each picture on this page was made by the code above it, when this page was built. The photographs show Eileen Collins (NASA, comes with
# scikit-image) and Grace Hopper (US Navy, comes with matplotlib); both are in the public domain. There is one photograph of each
# person, so the enrolled photos are altered copies. Photos of other days have lower similarities.

# %%
from pathlib import Path

import matplotlib as mpl
import numpy as np
import skimage.data
from PIL import Image, ImageOps

import facesearch as fs
from facesearch import plotting
from facesearch.benchmark import blurred, covered, darkened

collins = Image.fromarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]  # scikit-image has no annotations
hopper = Image.open(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB").resize((384, 450))

staff = fs.Collection("staff", thumbnails=True)
staff.enroll("eileen_collins", [ImageOps.mirror(collins), collins.rotate(8), collins.resize((384, 384))])
staff.enroll("grace_hopper", [ImageOps.mirror(hopper), hopper.rotate(-8)])
staff

# %% [markdown]
# ## Who is in this photo
#
# The largest face is searched, as in Amazon Rekognition. Every other face is listed with the reason.

# %%
party = Image.new("RGB", (820, 400), "dimgrey")
party.paste(collins.resize((400, 400)), (0, 0))
party.paste(hopper.resize((205, 240)), (440, 60))
party.paste(collins.resize((120, 120)), (690, 140))

response = fs.search_users_by_image(staff, party)
fs.annotate(party, response)

# %% [markdown]
# The response shows itself in a notebook: the photo, the matches, and how rare strangers of that similarity are.

# %%
response

# %% [markdown]
# AWS's own dict is one call away.

# %%
aws = fs.to_aws(response)
{"UserMatches": aws["UserMatches"], "FaceModelVersion": aws["FaceModelVersion"]}

# %% [markdown]
# ## Every face of a group

# %%
answers = fs.search_all_faces(staff, party)
fs.annotate(party, answers)

# %% [markdown]
# ## The answer on the measured curves
#
# A similarity is a measured rate: of 100,000 comparisons of strangers, one is a match at 99.

# %%
plotting.plot_response(party, response)

# %% [markdown]
# ## What the quality filter sees
#
# Six variants of one photograph, each with what the filter `HIGH` says about it.

# %%
photo = np.asarray(collins.crop((96, 0, 352, 256)))
box = fs.detect_faces(photo)[0].bounding_box
variants = {
    "as it is": photo,
    "blurred": blurred(photo, 3),
    "darkened": darkened(photo, 0.003),
    "lower half covered": covered(photo, box, 0.5),
    "small": np.asarray(Image.fromarray(photo).resize((80, 80))),
    "turned by 90°": np.rot90(photo).copy(),
}
for name, variant in variants.items():
    answer = fs.search_users_by_image(staff, variant, quality_filter="HIGH")
    reasons = [reason.value for face in answer.unsearched_faces for reason in face.reasons]
    found = [f"{match.user.user_id} {match.similarity:.1f}" for match in answer.user_matches]
    print(f"{name:18}  {', '.join(reasons or found) or 'no face found'}")

# %%
sheet = Image.new("RGB", (6 * 200, 200), "white")
for column, variant in enumerate(variants.values()):
    sheet.paste(fs.annotate(variant, fs.detect_faces(variant)).resize((200, 200)), (column * 200, 0))
sheet

# %% [markdown]
# ## Attributes and landmarks
#
# All attributes of AWS's `FaceDetail`, each with a calibrated confidence.

# %%
face, *_ = fs.detect_faces(hopper, attributes=["ALL"])
face

# %%
plotting.plot_faces(hopper, [face], pose=True).figure

# %% [markdown]
# ## Groups of unknown people
#
# Photos are indexed before anybody is named. Each group is probably one person.

# %%
album = fs.Collection("album", thumbnails=True)
for one in (collins, ImageOps.mirror(collins), collins.rotate(-7), hopper, ImageOps.mirror(hopper), party):
    album.index_faces(one)
album.groups()

# %% [markdown]
# ## Two photos of one person?

# %%
fs.compare_faces(collins, party)
