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
# # Who is in this photo?
#
# A tour of `facesearch` in a notebook: enrol people, search a photo, read the answer. Open this file as a notebook with
# jupytext (`pip install facesearch[notebook,demo]`, then *Open With, Notebook* in JupyterLab, or
# `jupytext --to ipynb notebook.py`), or run it as plain Python from top to bottom. All pictures come with installed packages.

# %%
import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import skimage.data
from PIL import Image, ImageFilter, ImageOps

import facesearch as fs
from facesearch import plotting

astronaut = Image.fromarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]  # scikit-image has no annotations
admiral = Image.open(Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg").resize((384, 450))

# %% [markdown]
# ## Enrol
#
# A collection holds people. This one is in memory. It keeps the vector and the bounding box of each face, not the photo. With
# `thumbnails=True` it also keeps a small picture of each face, so that answers can show the matched people.
#
# A picture is a path, encoded bytes, an open file, a PIL image or an RGB array. `enroll` takes the largest face of each
# photo and reports the outcome. There is only one photo of each person here, so the enrolment photos are altered copies;
# on photos of other days the similarities will be lower.

# %%
staff = fs.Collection("staff", thumbnails=True)
report = staff.enroll("eileen_collins", [ImageOps.mirror(astronaut), astronaut.rotate(8), astronaut.resize((384, 384))])
staff.enroll("grace_hopper", [ImageOps.mirror(admiral), admiral.rotate(-8)])
print(f"{report.accepted} of {len(report.photos)} photos were accepted")
staff

# %% [markdown]
# A refused photo is not an error. It has one or more reasons of `fs.EnrollmentReason`. The next photo has no face, so no user
# is created.

# %%
nobody = staff.enroll("nobody", [skimage.data.coffee()[:200, :200]])  # type: ignore[no-untyped-call]  # scikit-image has no annotations
print("not accepted:", [reason.value for reason in nobody.photos[0].reasons])
nobody

# %% [markdown]
# ## Search
#
# The picture to search is a group: Eileen Collins, Grace Hopper, and a smaller, blurred copy of her.

# %%
group = Image.new("RGB", (680, 384), "dimgrey")
group.paste(astronaut.resize((384, 384)), (0, 0))
group.paste(admiral.resize((154, 180)), (410, 30))
group.paste(admiral.resize((102, 120)).filter(ImageFilter.GaussianBlur(1)), (570, 230))

response = fs.search_users_by_image(staff, group)
for match in response.user_matches:
    print(f"{match.user.user_id}: similarity {match.similarity:.2f}")
response

# %% [markdown]
# The curves show how rare strangers of that similarity are. A percentage is defined by the measured rate of such strangers.
#
# A search uses one face, the largest, as in Amazon Rekognition. Point at a frame to read its details. Every other detected face
# is listed with the reasons why it was not searched. Detectors also report faces where there are none; such a detection has
# a low confidence.

# %%
for face in response.unsearched_faces:
    print([reason.value for reason in face.reasons], f"confidence {face.face_details.confidence:.0f}")

# %% [markdown]
# With a quality filter a face that is small, blurred, dark, turned away or of low confidence is not searched. Its reasons are the
# checks that it failed. `NONE` is the default of a search, `AUTO` of an enrolment.

# %%
strict = fs.search_users_by_image(staff, group, quality_filter="HIGH")
for face in strict.unsearched_faces:
    print([reason.value for reason in face.reasons])
strict

# %% [markdown]
# `search_all_faces` searches every face: one response each, from one detection.

# %%
for one in fs.search_all_faces(staff, group, quality_filter="MEDIUM"):
    print([f"{match.user.user_id} {match.similarity:.1f}" for match in one.user_matches])

# %% [markdown]
# `facesearch.plotting` draws the same as matplotlib figures, for saving, combining and further drawing. `plot_faces`, `plot_matches` and
# `plot_similarity` take `axes=`; `pose=True` shows the pose of each head.

# %%
plotting.plot_response(group, response)

# %%
plotting.plot_faces(group, fs.search_all_faces(staff, group, quality_filter="MEDIUM"), pose=True).figure

# %% [markdown]
# ## Thresholds are prefixes
#
# A similarity belongs to a face and a user, and no threshold changes it. A threshold cuts the list of matches, best first. So the
# matches at a higher threshold are the beginning of those at a lower one, and at 0 all users are listed. One search is enough to
# choose a threshold.

# %%
everybody = fs.search_users_by_image(staff, group, user_match_threshold=0).user_matches
for threshold in (20, 80):
    some = fs.search_users_by_image(staff, group, user_match_threshold=threshold).user_matches
    assert some == everybody[: len(some)]
    print(f"threshold {threshold:>2}: {[f'{match.user.user_id} {match.similarity:.1f}' for match in some]}")

# %% [markdown]
# A search without a match and a photo without a face are answers, not errors.

# %%
empty = fs.search_users_by_image(staff, skimage.data.coffee()[:200, :200])  # type: ignore[no-untyped-call]  # scikit-image has no annotations
print(f"searched face: {empty.searched_face}, matches: {empty.user_matches}")
empty

# %% [markdown]
# ## Vectors
#
# A face is embedded as a vector of 128 numbers; two photos of one person have near vectors. `similarity` converts the distance of
# two vectors to percent.

# %%
analyzer = staff.analyzer  # detected and embedded all these faces; fs.FaceAnalyzer() is one without a collection
collins = analyzer.analyze(astronaut)[0]  # largest first
mirrored = analyzer.analyze(ImageOps.mirror(astronaut))[0]
hopper = analyzer.analyze(admiral)[0]
for name, other in {"her mirror image": mirrored, "Grace Hopper": hopper}.items():
    distance = float(np.linalg.norm(collins.embedding - other.embedding))
    print(f"Eileen Collins and {name}: distance {distance:.3f}, similarity {fs.similarity(distance):.2f}")
Image.fromarray(collins.chip)  # the network's input

# %% [markdown]
# A collection also works on vectors alone, without pictures and without loading a model. The vectors may come from a database of
# yours, if they are of the same face model: `face_model` names it, and vectors of another model are refused.

# %%
vectors = fs.Collection("vectors")
vectors.add_embedding("eileen_collins", mirrored.embedding, face_model=mirrored.face_model)
vectors.add_embedding("grace_hopper", hopper.embedding, face_model=hopper.face_model)
rng = np.random.default_rng(0)
vectors.add_embeddings([f"made_up_{number}" for number in range(1000)], rng.normal(scale=0.12, size=(1000, 128)))
for match in vectors.search_embedding(collins.embedding, user_match_threshold=0, max_users=3):
    print(f"{match.user.user_id}: similarity {match.similarity:.2f}")
vectors

# %% [markdown]
# ## AWS's dict, there and back
#
# `to_aws` returns the dict of boto3's `search_users_by_image`, without its `ResponseMetadata`: an absent member has no key. `from_aws`
# reads such a dict, from facesearch or from Amazon, as typed values. The picture shown in the notebook is not part of the dict,
# so a response that was read back shows its frames on an empty background.

# %%
wire = json.dumps(fs.to_aws(response))
back = fs.from_aws(json.loads(wire), fs.SearchUsersByImageResponse)
assert back == response
print(f"{len(wire)} characters of JSON: {wire[:120]}...")
back
