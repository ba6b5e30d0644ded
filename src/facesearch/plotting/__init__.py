"""Figures of a response, in matplotlib: the annotated photo, the matches, and their similarities on the measured curves.

They need matplotlib: ``pip install "facesearch[plot]"``. They are drawn without pyplot, so there is no global state, no screen
is needed and the same answer gives the same picture. Each function draws into the axes you give, or into a figure of its own:
``plot_faces(photo, response).figure.savefig("faces.png")``. A notebook shows what they return where it ends a cell.

Colour, line style and words carry the same information, and every text on a photo has a ground of its own. User ids are
shortened where there is no room for them.
"""

from facesearch.plotting.faces import plot_faces
from facesearch.plotting.matches import plot_matches
from facesearch.plotting.response import plot_response
from facesearch.plotting.similarity import plot_similarity

__all__ = ["plot_faces", "plot_matches", "plot_response", "plot_similarity"]
