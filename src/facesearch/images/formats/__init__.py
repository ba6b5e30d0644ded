"""One module for each file format of pictures: from bytes to a Pillow image, upright.

Each module exports ``decode(data, admit)``. It reads the size from the file's header, calls ``admit(width, height)`` before any pixel
is decoded, and raises `facesearch.images.formats.raster.DamagedPictureError`, or whatever Pillow raises, for a damaged file. Pillow gets
nothing but what makes the pixels wherever the format allows it, and never chooses a format by itself.
"""
