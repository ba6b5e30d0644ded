"""Decoders of picture files, one module for each format: from bytes to an upright Pillow image.

Each module exports ``decode(data, admit)``. It reads the size from the file's header, calls ``admit(width, height)`` before any pixel
is decoded, and raises `facesearch.images.formats.raster.DamagedPictureError`, or whatever Pillow raises, for a damaged file. Pillow gets
only the parts that define the pixels wherever the format allows it, and never chooses a format by itself.
"""
