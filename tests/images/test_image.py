"""What the one reader of pictures promises; every picture here is made on the spot."""

import base64
import gc
import hashlib
import io
import os
import struct
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageFile, ImageOps

from facesearch.errors import (
    ImageError,
    ImageNotFoundError,
    ImageTooLargeError,
    ImageTooSmallError,
    InvalidImageFormatError,
    InvalidParameterError,
)
from facesearch.images import reading as module
from facesearch.images.formats.jpeg import MAX_SCANS, MAX_SEGMENTS
from facesearch.images.formats.kinds import AWS_FORMATS
from facesearch.images.reading import (
    MAX_BYTES,
    MAX_FILE_BYTES,
    ImageSource,
    Picture,
    read_image,
)

Pixels = npt.NDArray[np.uint8]
PNG = b"\x89PNG\r\n\x1a\n"
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def encoded(picture: Image.Image | Pixels, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(file, kind, **options)
    return file.getvalue()


def noise(*shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def scene(width: int = 120, height: int = 96) -> Pixels:
    """Smooth and without symmetry, so that JPEG keeps it and no two orientations look alike."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + 2 * y) * 80 // width], axis=2).astype(np.uint8)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def png(rows: npt.NDArray[Any], depth: int, colour: int, *before: bytes, side: tuple[int, int] | None = None) -> bytes:
    """Pack raw rows (packed samples as bytes, one row of the array each) as a PNG."""
    width, height = side or (len(rows), len(rows))
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    head = chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, 0))
    return PNG + head + b"".join(before) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def with_exif(jpeg: bytes, exif: bytes) -> bytes:
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif + jpeg[2:]


def exif(orientation: int, order: str = ">", kind: int = 3) -> bytes:
    mark = b"MM\0*" if order == ">" else b"II*\0"
    value = struct.pack(order + ("HH" if kind == 3 else "L"), *([orientation, 0] if kind == 3 else [orientation]))
    return mark + struct.pack(f"{order}LHHHL", 8, 1, 0x0112, kind, 1) + value + bytes(4)


JPEG_FILE = encoded(scene(), "JPEG", quality=90)
PROGRESSIVE_FILE = encoded(scene(), "JPEG", quality=90, progressive=True)
PNG_FILE = encoded(noise(90, 100, 3))
JPEG_PIXELS = read_image(JPEG_FILE).pixels
SIDES = st.integers(80, 130)

rgb = st.tuples(SIDES, SIDES).flatmap(lambda side: hnp.arrays(np.uint8, (*side, 3), elements=st.integers(0, 255)))


# --- properties


@quick
@given(rgb)
def test_a_png_gives_back_the_exact_pixels_and_so_does_the_array(pixels: Pixels) -> None:
    kept = pixels.copy()
    for source in (encoded(pixels), pixels, Image.fromarray(pixels)):
        picture = read_image(source)
        assert np.array_equal(picture.pixels, pixels)
        assert (picture.height, picture.width) == pixels.shape[:2]
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.flags.c_contiguous
        assert not picture.pixels.flags.writeable
        assert not np.shares_memory(picture.pixels, pixels)
    assert np.array_equal(pixels, kept)


@quick
@given(rgb)
def test_grey_and_opaque_alpha_are_exact_too(pixels: Pixels) -> None:
    grey = pixels[:, :, 0]
    alpha = np.full((*grey.shape, 1), 255, np.uint8)
    three = np.repeat(grey[:, :, None], 3, axis=2)
    for source in (grey, grey[:, :, None], encoded(grey), Image.fromarray(grey)):
        assert np.array_equal(read_image(source).pixels, three)
    rgba = np.concatenate([pixels, alpha], axis=2)
    for source in (rgba, encoded(rgba), Image.fromarray(rgba)):
        assert np.array_equal(read_image(source).pixels, pixels)


@quick
@given(rgb, st.booleans(), st.booleans(), st.booleans())
def test_views_of_any_stride_read_like_their_copies(pixels: Pixels, flip: bool, mirror: bool, turn: bool) -> None:
    view = pixels[:: -1 if flip else 1, :: -1 if mirror else 1, ::-1]
    view = view.transpose(1, 0, 2) if turn else view
    view.flags.writeable = False
    assert np.array_equal(read_image(view).pixels, view.copy())
    assert read_image(view).digest == read_image(view.copy()).digest


STORED: dict[int, Callable[[Pixels], Pixels]] = {  # how a camera held that way stores an upright scene
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("kind", [3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", STORED)
def test_every_orientation_gives_the_same_upright_picture(orientation: int, order: str, kind: int) -> None:
    upright = scene()
    stored = np.ascontiguousarray(STORED[orientation](upright))
    file = with_exif(encoded(stored, "JPEG", quality=95, subsampling=0), exif(orientation, order, kind))
    picture = read_image(file)
    assert picture.pixels.shape == upright.shape
    assert np.abs(picture.pixels.astype(int) - upright).max() < 12
    opened = Image.open(io.BytesIO(file))
    assert np.array_equal(picture.pixels, read_image(opened).pixels)
    assert np.array_equal(picture.pixels, np.asarray(ImageOps.exif_transpose(opened)))


@pytest.mark.parametrize("orientation", STORED)
def test_orientation_written_by_pillow_is_understood_in_jpeg_and_ignored_in_png(orientation: int) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F] = "a maker whose name is longer than four bytes"
    jpeg = encoded(scene(), "JPEG", exif=tags)
    assert np.array_equal(read_image(jpeg).pixels, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(jpeg)))))
    plain = encoded(scene(), exif=tags)
    assert np.array_equal(read_image(plain).pixels, scene())
    assert np.array_equal(read_image(Image.open(io.BytesIO(plain))).pixels, scene())


@settings(quick, max_examples=200)
@given(st.one_of(st.binary(max_size=60), st.binary(max_size=40).map(lambda tail: b"MM\0*\0\0\0\x08" + tail)))
def test_malformed_exif_is_ignored_without_a_warning(block: bytes) -> None:
    picture = read_image(with_exif(JPEG_FILE, block))
    assert picture.pixels.size == JPEG_PIXELS.size
    if b"\x01\x12" not in block:
        assert np.array_equal(picture.pixels, JPEG_PIXELS)


@pytest.mark.parametrize("bad", [0, 9, 65535])
def test_an_orientation_out_of_range_is_ignored(bad: int) -> None:
    assert np.array_equal(read_image(with_exif(JPEG_FILE, exif(bad))).pixels, JPEG_PIXELS)


def test_exif_that_makes_pillow_warn_is_read_in_silence() -> None:
    corrupt = b"MM\0*" + struct.pack(">LHHHLLL", 8, 1, 0x010F, 2, 99, 5000, 0)
    file = with_exif(JPEG_FILE, corrupt)
    with pytest.warns(UserWarning, match="larger than file|Corrupt|corrupt|Truncated"):
        Image.open(io.BytesIO(file))
    assert np.array_equal(read_image(file).pixels, JPEG_PIXELS)


@quick
@given(rgb)
def test_one_png_reads_alike_from_bytes_path_file_pil_and_array(
    tmp_path_factory: pytest.TempPathFactory, pixels: Pixels
) -> None:
    data = encoded(pixels)
    path = tmp_path_factory.mktemp("pictures") / "a picture.png"
    path.write_bytes(data)
    with path.open("rb") as file, path.open("rb", buffering=0) as raw:
        same: list[ImageSource] = [
            data,
            bytearray(data),
            memoryview(data),
            path,
            str(path),
            io.BytesIO(data),
            file,
            raw,
        ]
        pictures = [read_image(source) for source in same]
        assert not file.closed
        assert not raw.closed
    assert {picture.digest for picture in pictures} == {hashlib.sha256(data).hexdigest()}
    as_pixels = [read_image(Image.open(path)), read_image(pixels)]
    assert as_pixels[0].digest == as_pixels[1].digest
    for picture in pictures + as_pixels:
        assert np.array_equal(picture.pixels, pixels)


@quick
@given(rgb, rgb)
def test_the_same_content_has_the_same_digest_and_another_has_another(one: Pixels, other: Pixels) -> None:
    assert read_image(one).digest == read_image(one.copy()).digest
    assert (read_image(one).digest == read_image(other).digest) == np.array_equal(one, other)


def test_the_digest_tells_shapes_apart() -> None:
    assert read_image(np.zeros((90, 100), np.uint8)).digest != read_image(np.zeros((100, 90), np.uint8)).digest


def survives(data: bytes) -> Picture | None:
    try:
        return read_image(data)
    except ImageError as error:
        if not str(error).startswith("image: expected "):
            raise
        return None


MAGICS = [b"\xff\xd8\xff", PNG, b"", b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0", PNG_FILE[:33], JPEG_FILE[:600]]


@settings(quick, max_examples=400)
@given(st.sampled_from(MAGICS), st.binary(max_size=400))
def test_random_bytes_after_the_magic_raise_nothing_but_image_errors(magic: bytes, rest: bytes) -> None:
    survives(magic + rest)


@settings(quick, max_examples=300)
@given(st.sampled_from([JPEG_FILE, PROGRESSIVE_FILE, with_exif(JPEG_FILE, exif(6))]), st.data())
def test_damaged_jpegs_raise_nothing_but_image_errors(file: bytes, data: st.DataObject) -> None:
    damaged = bytearray(file)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(3, len(file) - 1))] = data.draw(st.integers(0, 255))
    survives(bytes(damaged))


@settings(quick, max_examples=300)
@given(st.integers(8 * 8, len(PNG_FILE) * 8 - 1))
def test_a_png_with_one_flipped_bit_is_refused(bit: int) -> None:
    damaged = bytearray(PNG_FILE)
    damaged[bit // 8] ^= 1 << bit % 8
    assert survives(bytes(damaged)) is None


@settings(quick, max_examples=300)
@given(
    st.sampled_from([b"eXIf", b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"acTL", b"fcTL", b"gAMA", b"pHYs", b"prVt"]),
    st.binary(),
)
def test_no_metadata_in_a_png_can_spoil_its_pixels(kind: bytes, body: bytes) -> None:
    file = PNG_FILE[:33] + chunk(kind, body) + PNG_FILE[33:]
    assert np.array_equal(read_image(file).pixels, noise(90, 100, 3))


@settings(quick, max_examples=200)
@given(st.sampled_from([JPEG_FILE, PROGRESSIVE_FILE, PNG_FILE]), st.data())
def test_a_truncated_file_is_refused_unless_all_its_pixels_are_there(file: bytes, data: st.DataObject) -> None:
    picture = survives(file[: data.draw(st.integers(0, len(file) - 1))])
    if picture is not None:
        assert file is not PNG_FILE
        assert np.array_equal(picture.pixels, read_image(file).pixels)


@settings(quick, max_examples=200)
@given(
    hnp.arrays(st.sampled_from([np.uint8, np.float32, np.bool_, np.int64]), hnp.array_shapes(min_dims=0, max_dims=5))
)
def test_any_other_array_is_an_image_error_that_shows_dtype_and_shape(array: npt.NDArray[Any]) -> None:
    with pytest.raises(ImageError, match=r"^image: expected ") as caught:
        read_image(array)
    if not isinstance(caught.value, ImageTooSmallError):
        assert f"got {array.dtype} of shape {array.shape}" in str(caught.value)


# --- modes


@pytest.fixture
def careless_pillow() -> Iterator[None]:
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    yield
    ImageFile.LOAD_TRUNCATED_IMAGES = False


@pytest.mark.usefixtures("careless_pillow")
@pytest.mark.parametrize("file", [JPEG_FILE, PROGRESSIVE_FILE, PNG_FILE], ids=["jpeg", "progressive", "png"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_files_are_refused_even_where_pillow_was_told_to_take_them(file: bytes, share: float) -> None:
    cut = file[: int(len(file) * share)]
    with pytest.raises(InvalidImageFormatError, match="truncated or damaged"):
        read_image(cut)
    broken = PNG + chunk(b"IHDR", struct.pack(">LLBBBBB", 90, 90, 8, 0, 0, 0, 0)) + chunk(b"IDAT", b"not zlib")
    with pytest.raises(InvalidImageFormatError, match="truncated or damaged"):
        read_image(broken + chunk(b"IEND", b""))


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


RED = np.broadcast_to(np.array([255, 0, 0], np.uint8), (90, 90, 3))


def half_clear(mode: str) -> Image.Image:
    """Left half: opaque mid grey; right half: clear black."""
    layer = Image.new("LA", (100, 90), (0, 0))
    layer.paste((77, 255), (0, 0, 50, 90))
    return layer.convert("RGBA").convert(mode)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA", "RGBa"])
def test_what_is_transparent_turns_white(mode: str) -> None:
    picture = half_clear(mode)
    sources: list[ImageSource] = [picture]
    if mode in {"LA", "RGBA"}:
        sources.append(encoded(picture))
    white = Image.new("RGBA", picture.size, "white")
    right = np.asarray(Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB"))
    for source in sources:
        pixels = read_image(source).pixels
        assert np.array_equal(pixels, right)
        if mode != "PA":  # older Pillows lose the alpha on the way to PA
            assert (pixels[:, :50] == 77).all()
            assert (pixels[:, 50:] == 255).all()


def test_half_transparent_is_half_way_to_white() -> None:
    rgba = np.zeros((90, 90, 4), np.uint8)
    rgba[..., 3] = 128
    assert (read_image(rgba).pixels == 127).all()


@pytest.mark.parametrize("clear", [None, 1, bytes([255, 0, 255]), bytes([128, 128])])
def test_palettes_are_resolved_with_and_without_transparency(clear: int | bytes | None) -> None:
    palette = Image.new("P", (100, 90), 0)
    palette.putpalette([10, 20, 30, 200, 0, 0])
    palette.paste(1, (50, 0, 100, 90))
    options: dict[str, Any] = {} if clear is None else {"transparency": clear}
    if clear is not None:
        palette.info["transparency"] = clear
    before = palette.tobytes(), palette.getpalette("RGBA"), dict(palette.info)
    from_pil = read_image(palette).pixels
    assert (palette.tobytes(), palette.getpalette("RGBA"), dict(palette.info)) == before
    from_file = read_image(encoded(palette, **options)).pixels
    right = {None: [200, 0, 0], 1: [255, 255, 255], bytes([255, 0, 255]): [255, 255, 255]}.get(clear, [227, 127, 127])
    for pixels in (from_pil, from_file):
        assert pixels[0, 99].tolist() == right
        assert pixels[0, 0].tolist() == ([132, 137, 142] if clear == bytes([128, 128]) else [10, 20, 30])


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_png_of_every_depth_spans_black_to_white_and_honours_its_clear_grey(depth: int) -> None:
    top = 2**depth - 1
    samples = np.full((90, 96), top, np.uint16)
    samples[:, :48] = 0
    bits = np.unpackbits(samples.astype(">u2").view(np.uint8).reshape(90, 96, 2), axis=2)[:, :, 16 - depth :]
    rows = np.packbits(bits.reshape(90, -1), axis=1)
    plain = read_image(png(rows, depth, 0, side=(96, 90))).pixels
    assert plain[0, 0].tolist() == [0, 0, 0]
    assert plain[0, 95].tolist() == [255, 255, 255]
    black_clear = png(rows, depth, 0, chunk(b"tRNS", b"\0\0"), side=(96, 90))
    assert (read_image(black_clear).pixels == 255).all()
    samples_clear = png(
        rows // 3 if depth == 2 else rows, depth, 0, chunk(b"tRNS", struct.pack(">H", top)), side=(96, 90)
    )
    assert set(np.unique(read_image(samples_clear).pixels)) <= {0, 85, 255}


def test_the_clear_grey_of_a_four_level_png_is_found() -> None:
    rows = np.full((88, 22), 0b01010101, np.uint8)
    assert (read_image(png(rows, 2, 0, side=(88, 88))).pixels == 85).all()
    assert (read_image(png(rows, 2, 0, chunk(b"tRNS", b"\0\1"), side=(88, 88))).pixels == 255).all()


@quick
@given(hnp.arrays(np.uint16, (80, 81), elements=st.integers(0, 65535)))
def test_sixteen_bits_are_scaled_to_eight_not_clipped(deep: npt.NDArray[np.uint16]) -> None:
    deep[0, 0] = 256  # so that no picture is of 8-bit values
    right = np.repeat((deep >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    grey = Image.fromarray(deep)
    colour = np.repeat(deep[:, :, None], 3, axis=2).astype(">u2")
    clear = np.concatenate([colour, np.full((80, 81, 1), 65535)], axis=2).astype(">u2")
    wide = Image.fromarray(deep.astype(np.int32))
    files = (png(colour, 16, 2, side=(81, 80)), png(clear, 16, 6, side=(81, 80)), encoded(grey))
    swapped = Image.fromarray(deep.astype(">u2"))
    sources: list[ImageSource] = [grey, wide, swapped, *files, *map(opened, files)]
    for source in sources:
        assert np.array_equal(read_image(source).pixels, right)


EIGHT_BITS = st.tuples(SIDES, SIDES).flatmap(lambda side: hnp.arrays(np.uint8, side))
DEEP_MODES = ["I", "I;16", "I;16L", "I;16B", "I;16N"]


def of_mode(mode: str, values: npt.NDArray[Any]) -> Image.Image:
    kind = {"I": "<i4", "I;16B": ">u2"}.get(mode, "<u2")
    return Image.frombytes(mode, values.shape[::-1], values.astype(kind).tobytes())


@quick
@given(EIGHT_BITS, st.sampled_from(DEEP_MODES), st.booleans())
def test_eight_bit_values_in_a_wider_container_are_taken_as_they_are(grey: Pixels, mode: str, as_file: bool) -> None:
    picture = of_mode(mode, grey)
    source: ImageSource = encoded(picture if mode == "I;16" else of_mode("I;16", grey)) if as_file else picture
    assert np.array_equal(read_image(source).pixels, np.repeat(grey[:, :, None], 3, axis=2))


@quick
@given(EIGHT_BITS, st.integers(0, 255), st.sampled_from(DEEP_MODES))
def test_sixteen_bit_values_keep_their_high_byte_in_any_mode(high: Pixels, low: int, mode: str) -> None:
    deep = high.astype(np.uint16) << 8 | low
    deep[0, 0] = 0xFF00 | low
    assert np.array_equal(read_image(of_mode(mode, deep)).pixels[:, :, 0], (deep >> 8).astype(np.uint8))


@pytest.mark.parametrize(
    ("factor", "alpha"), [(1, None), (1, 255), (1, 65535), (256, None), (256, 65535), (257, 65535)]
)
def test_sixteen_bit_colour_pngs_are_scaled_by_what_their_values_say(factor: int, alpha: int | None) -> None:
    right = noise(90, 100, 3)
    samples = right.astype(np.uint16) * factor
    if alpha is not None:
        samples = np.concatenate([samples, np.full((90, 100, 1), alpha, np.uint16)], axis=2)
    file = png(samples.astype(">u2"), 16, 2 if alpha is None else 6, side=(100, 90))
    assert np.array_equal(read_image(file).pixels, right)


def test_sixteen_bit_grey_with_alpha_of_eight_bit_values_is_refused_with_a_hint() -> None:
    samples = np.full((90, 90, 2), 200, ">u2")
    with pytest.raises(InvalidImageFormatError, match="16-bit samples that are all below 256: write them as uint8"):
        read_image(png(samples, 16, 4))
    assert (read_image(png((samples.astype(">u2") << 8) | 0xFF, 16, 4)).pixels >= 200).all()


@pytest.mark.parametrize("depth", [8, 16])
def test_the_clear_colour_of_an_rgb_png_turns_white(depth: int) -> None:
    colour = np.array([10, 20, 30])
    samples = np.zeros((90, 90, 3), ">u2" if depth == 16 else np.uint8)
    samples[:, :45] = colour * 256 if depth == 16 else colour
    key = struct.pack(">3H", *(int(v) * (256 if depth == 16 else 1) for v in colour))
    file = png(samples, depth, 2, chunk(b"tRNS", key))
    assert (read_image(file).pixels[:, :45] == 255).all()
    assert (read_image(file).pixels[:, 45:] == 0).all()
    if depth == 8:
        assert np.array_equal(read_image(opened(file)).pixels, read_image(file).pixels)


def test_bilevel_pictures_are_black_and_white() -> None:
    picture = Image.fromarray(noise(90, 90)).convert("1")
    for source in (picture, encoded(picture)):
        assert np.array_equal(read_image(source).pixels, np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpegs_of_every_mode_read_as_pillow_reads_them(mode: str, progressive: bool) -> None:
    file = encoded(Image.fromarray(scene()).convert(mode), "JPEG", progressive=progressive, quality=95)
    right = np.asarray(opened(file).convert("RGB"))
    assert np.array_equal(read_image(file).pixels, right)
    assert np.array_equal(read_image(opened(file)).pixels, right)
    if mode != "L":
        assert np.abs(right.astype(int) - scene()).mean() < 6


def test_palette_transparency_left_on_a_grey_pil_image_is_ignored_without_a_warning() -> None:
    grey = Image.fromarray(noise(90, 90))
    grey.info["transparency"] = b"\x05\x06"
    assert np.array_equal(read_image(grey).pixels[:, :, 0], noise(90, 90))
    assert grey.info["transparency"] == b"\x05\x06"


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "RGBX"])
def test_pil_images_of_other_colour_spaces_become_rgb(mode: str) -> None:
    source = Image.new("RGB", (90, 90), "red").convert(mode)
    assert np.abs(read_image(source).pixels.astype(int) - RED).max() <= 3


@pytest.mark.parametrize("mode", ["F", "LAB", "La"])
def test_pil_images_of_unknown_scale_are_refused_by_mode(mode: str) -> None:
    with pytest.raises(
        InvalidImageFormatError, match=f"^image: expected a PIL image of mode .* got '{mode}'; convert it: "
    ):
        read_image(Image.new(mode, (90, 90)))


@pytest.mark.parametrize("value", [-1, 65536])
def test_wide_integers_beyond_sixteen_bits_are_refused(value: int) -> None:
    with pytest.raises(
        InvalidImageFormatError, match=r"expected grey samples of 0 to 255 or 0 to 65535, got .* scale them"
    ):
        read_image(Image.new("I", (90, 90), value))


def test_a_multi_picture_jpeg_whose_pictures_have_thumbnails_reads_as_its_first_picture() -> None:
    file = WITH_THUMBNAIL["padding after the thumbnail"]
    for many in (file + file, file + bytes(99) + PROGRESSIVE_FILE + file):
        assert np.array_equal(read_image(many).pixels, JPEG_PIXELS)


def test_a_multi_picture_jpeg_reads_as_its_first_picture() -> None:
    first, second = Image.fromarray(scene()), Image.new("RGB", (100, 100), "red")
    file = encoded(first, "MPO", save_all=True, append_images=[second])
    assert opened(file).format == "MPO"
    assert np.array_equal(read_image(file).pixels, np.asarray(opened(file)))


def test_an_animated_png_reads_as_its_default_picture() -> None:
    frames = [Image.new("RGB", (90, 90), colour) for colour in ("red", "blue")]
    file = encoded(frames[0], save_all=True, append_images=frames[1:])
    assert np.array_equal(read_image(file).pixels, RED)


def test_interlaced_png_without_rows_for_its_first_pass_is_refused_not_crashed() -> None:
    head = chunk(b"IHDR", struct.pack(">LLBBBBB", 90, 90, 8, 0, 0, 0, 1))
    with pytest.raises(InvalidImageFormatError):
        read_image(PNG + head + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


def test_a_pil_jpeg_already_turned_upright_is_not_turned_again() -> None:
    turned = opened(with_exif(JPEG_FILE, exif(6)))
    upright = ImageOps.exif_transpose(turned)
    assert np.array_equal(read_image(upright).pixels, read_image(turned).pixels)
    ImageOps.exif_transpose(turned, in_place=True)
    assert np.array_equal(read_image(turned).pixels, read_image(upright).pixels)


# --- thumbnails in EXIF


def exif_with_thumbnail(thumbnail: bytes, after: bytes) -> bytes:
    """A big-endian EXIF block: two directories, the second with the thumbnail's place, and something after it."""
    first = struct.pack(">HHHLHHL", 1, 0x0112, 3, 1, 1, 0, 26)
    second = struct.pack(">HHHLLHHLLL", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, len(thumbnail), 0)
    return b"MM\0*" + struct.pack(">L", 8) + first + second + thumbnail + after


THUMBNAIL = encoded(Image.new("RGB", (160, 120), "red"), "JPEG", quality=50)
WITH_THUMBNAIL = {
    "nothing after the thumbnail": with_exif(JPEG_FILE, exif_with_thumbnail(THUMBNAIL, b"")),
    "padding after the thumbnail": with_exif(JPEG_FILE, exif_with_thumbnail(THUMBNAIL, bytes(40))),
    "maker notes after the thumbnail": with_exif(
        PROGRESSIVE_FILE, exif_with_thumbnail(THUMBNAIL, b"Nikon\0\xff\x10" * 9)
    ),
    "a second thumbnail": with_exif(JPEG_FILE, exif_with_thumbnail(THUMBNAIL, bytes(8) + THUMBNAIL)),
}


@pytest.mark.parametrize("file", WITH_THUMBNAIL.values(), ids=WITH_THUMBNAIL)
def test_a_jpeg_with_a_thumbnail_in_its_exif_reads_as_its_photo(file: bytes) -> None:
    assert np.array_equal(read_image(file).pixels, np.asarray(opened(file)))
    assert read_image(file).width == 120


@pytest.mark.parametrize("file", WITH_THUMBNAIL.values(), ids=WITH_THUMBNAIL)
def test_a_jpeg_whose_exif_has_any_other_length_is_never_read_as_its_thumbnail(file: bytes) -> None:
    for length in range(2, int.from_bytes(file[4:6], "big")):
        picture = survives(file[:4] + struct.pack(">H", length) + file[6:])
        assert picture is None or picture.width == 120, length


@settings(quick, max_examples=400)
@given(st.sampled_from(list(WITH_THUMBNAIL.values())), st.data())
def test_a_jpeg_damaged_before_its_first_scan_is_never_read_as_its_thumbnail(file: bytes, data: st.DataObject) -> None:
    damaged = bytearray(file)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(2, file.rindex(b"\xff\xc4")))] = data.draw(
            st.sampled_from([0, 1, 0xD8, 0xE1, 0xFF])
        )
    picture = survives(bytes(damaged))
    assert picture is None or (picture.width, picture.height) != (160, 120)


def test_a_spilled_thumbnail_is_reported_as_damage() -> None:
    file = WITH_THUMBNAIL["padding after the thumbnail"]
    short = file[:4] + struct.pack(">H", 40) + file[6:]
    with pytest.raises(
        InvalidImageFormatError, match=r"expected an intact JPEG, .* \(a second picture, such as a thumbnail"
    ):
        read_image(short)


@quick
@given(st.data())
def test_fill_bytes_before_any_marker_change_nothing(data: st.DataObject) -> None:
    parts, at = [JPEG_FILE[:2]], 2
    while JPEG_FILE[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(JPEG_FILE[at + 2 : at + 4], "big")
        parts.append(b"\xff" * data.draw(st.integers(0, 5)) + JPEG_FILE[at:end])
        at = end
    assert np.array_equal(read_image(b"".join(parts) + JPEG_FILE[at:]).pixels, JPEG_PIXELS)


def test_bytes_between_segments_that_belong_to_none_are_passed_over_where_there_is_one_picture_only() -> None:
    at = JPEG_FILE.index(b"\xff\xdb")
    assert np.array_equal(read_image(JPEG_FILE[:at] + bytes(3) + JPEG_FILE[at:]).pixels, JPEG_PIXELS)


# --- limits


@pytest.mark.parametrize(("width", "height"), [(80, 80), (80, 10_000), (10_000, 80)])
def test_sides_from_80_to_10000_are_taken(width: int, height: int) -> None:
    grey = np.zeros((height, width), np.uint8)
    for source in (grey, Image.fromarray(grey), encoded(grey)):
        assert read_image(source).pixels.shape == (height, width, 3)


@pytest.mark.parametrize(
    ("width", "height", "error"),
    [
        (79, 100, ImageTooSmallError),
        (100, 79, ImageTooSmallError),
        (10_001, 100, ImageTooLargeError),
        (100, 10_001, ImageTooLargeError),
    ],
)
def test_other_sides_are_refused_and_named(width: int, height: int, error: type[ImageError]) -> None:
    grey = np.zeros((height, width), np.uint8)
    for source in (grey, Image.fromarray(grey), encoded(grey), encoded(grey, "JPEG")):
        with pytest.raises(error, match=rf"^image: expected at .* pixels a side, got {width} x {height}$"):
            read_image(source)


def test_an_empty_array_is_too_small() -> None:
    with pytest.raises(ImageTooSmallError, match="got 0 x 0"):
        read_image(np.zeros((0, 0, 3), np.uint8))


def test_a_bomb_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "frombytes", lambda *_: pytest.fail("decoded"))
    bomb = png(np.zeros((1, 9), np.uint8), 8, 2, side=(60_000, 60_000))
    with pytest.raises(ImageTooLargeError, match="got 60000 x 60000"):
        read_image(bomb)
    sof = JPEG_FILE.index(b"\xff\xc0")
    huge = JPEG_FILE[: sof + 5] + b"\xea\x60\xea\x60" + JPEG_FILE[sof + 9 :]
    with pytest.raises(ImageTooLargeError, match="got 60000 x 60000"):
        read_image(huge)


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_inflating_metadata_is_never_inflated(kind: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zlib, "decompressobj", lambda *_: pytest.fail("inflated"))
    file = PNG_FILE[:33] + chunk(kind, b"key\0\0" + zlib.compress(bytes(50_000_000))) + PNG_FILE[33:]
    assert read_image(file).width == 100


def test_a_jpeg_with_too_many_segments_or_scans_is_refused() -> None:
    crowd = JPEG_FILE[:2] + b"\xff\xe1\x00\x0cExif\0\0abcd" * MAX_SEGMENTS + JPEG_FILE[2:]
    with pytest.raises(InvalidImageFormatError, match="segments"):
        read_image(crowd)
    last = PROGRESSIVE_FILE.rindex(b"\xff\xda")
    with pytest.raises(InvalidImageFormatError, match="scans"):
        read_image(PROGRESSIVE_FILE[:-2] + PROGRESSIVE_FILE[last:-2] * MAX_SCANS + b"\xff\xd9")


def test_what_follows_a_jpeg_such_as_the_video_of_a_motion_photo_is_not_looked_at() -> None:
    video = b"\xff\xda" * (MAX_SCANS + 1) + noise(100_000).tobytes()
    for file in (JPEG_FILE, PROGRESSIVE_FILE):
        assert np.array_equal(read_image(file + video).pixels, read_image(file).pixels)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff" * 4_000_000 + b"\0",
        JPEG_FILE[:-2] + (b"\xff" * 1_000_000 + b"\0") * 4,
        b"\xff\xd8" + b"\xff\xd0" * 2_000_000,
        b"<?xml " + b"<!---->" * 140,
        PNG + chunk(b"tEXt", b"") * 300_000,
    ],
    ids=["fill bytes", "fill bytes in a scan", "restart markers", "comments", "empty chunks"],
)
def test_bytes_made_to_be_slow_to_refuse_are_refused_fast(data: bytes) -> None:
    start = time.process_time()
    survives(data)
    assert time.process_time() - start < 5


def test_bytes_over_5_mib_are_refused_and_files_up_to_15_mib_are_taken(tmp_path: Path) -> None:
    padded = JPEG_FILE + bytes(MAX_BYTES + 1 - len(JPEG_FILE))
    for source in (padded, bytearray(padded), memoryview(padded)):
        with pytest.raises(ImageTooLargeError, match=r"^image: expected at most 5,242,880 bytes, got 5,242,881$"):
            read_image(source)
    assert np.array_equal(read_image(padded[:MAX_BYTES]).pixels, JPEG_PIXELS)
    assert np.array_equal(read_image(io.BytesIO(padded)).pixels, JPEG_PIXELS)
    path = tmp_path / "padded.jpg"
    path.write_bytes(padded)
    assert np.array_equal(read_image(path).pixels, JPEG_PIXELS)


def test_files_over_15_mib_are_refused_without_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # errors shorten long paths, and those of pytest-xdist are long
    path = Path("large.jpg")
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ImageTooLargeError, match=r"large\.jpg'.*at most 15,728,640 bytes, got 15,728,641"):
        read_image(path)

    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1, /) -> bytes:
            self.given += min(size, 1 << 20)
            return bytes(min(size, 1 << 20))

    endless = Endless()
    with pytest.raises(ImageTooLargeError, match="image: expected at most 15,728,640 bytes, got more"):
        read_image(endless)  # type: ignore[arg-type]  # RawIOBase is one in all but name
    assert endless.given == MAX_FILE_BYTES + 1


# --- what people send instead


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (b"", "0 bytes"),
        (encoded(scene(), "BMP"), "a BMP picture; convert it: python -c"),
        (b"II+\0\x08\0\0\0", "a BigTIFF picture; convert it"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "a HEIF picture of another kind than HEIC and AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "a video"),
        (b"\xff\x0a\0\0", "a JPEG XL picture"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
        (b"%PDF-1.7", "a PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "a PostScript file"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "an SVG drawing"),
        (b"<?xml version='1.0'?>\n<!-- made by hand -->\n<svg>", "an SVG drawing"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (base64.b64encode(JPEG_FILE), "base64 text; decode it first"),
        (base64.b64encode(PNG_FILE), "base64 text; decode it first"),
        (b"data:image/png;base64,iVBORw0KGgo", "a data: URL; decode what follows its comma"),
        (b"hello", "5 bytes of no known format"),
        (b"\xff\xd8", "2 bytes of no known format"),
    ],
)
def test_bytes_that_are_no_picture_are_named_by_their_format(data: bytes, seen: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(data)
    for source in (data, io.BytesIO(data), path):
        with pytest.raises(InvalidImageFormatError, match=rf"^image.*: expected a JPEG, PNG, .*AVIF, got {seen}"):
            read_image(source)


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (encoded(scene(), "GIF"), "a GIF; convert it"),
        (encoded(scene(), "WEBP"), "a WebP picture; convert it"),
        (encoded(scene(), "TIFF"), "a TIFF picture; convert it"),
        (encoded(scene(), "AVIF"), "an AVIF picture; convert it"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture; convert it"),
    ],
)
def test_formats_that_were_not_asked_for_are_refused_and_named(data: bytes, seen: str) -> None:
    with pytest.raises(InvalidImageFormatError, match=f"^image: expected a JPEG or PNG, got {seen}"):
        read_image(data, formats=AWS_FORMATS)


@quick
@given(
    st.sampled_from(
        [b"", b"DB_PASSWORD=", b"{", b"-----BEGIN ", *MAGICS, b"GIF89a", b"RIFF\0\0\0\0WEBP", b"MM\0*", b"%!PS"]
    )
)
def test_no_error_quotes_the_content_of_what_was_given_as_a_picture(start: bytes) -> None:
    secret = b"hunter2secret"
    data = start + secret * 20
    texts: list[str] = [secret.decode(), secret.hex()]
    sources: list[Any] = [data, bytearray(data), io.BytesIO(data), {"Bytes": data}, [data], (data,)]
    for source in sources:
        with pytest.raises((ImageError, InvalidParameterError)) as caught:
            read_image(source)
        assert not any(text in str(caught.value) for text in texts), caught.value


def test_a_text_of_base64_in_place_of_a_path_is_not_quoted() -> None:
    text = base64.b64encode(JPEG_FILE).decode()
    with pytest.raises(InvalidImageFormatError) as caught:
        read_image(text)
    assert text[4:20] not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (base64.b64encode(JPEG_FILE).decode(), "expected a path, got base64 text; decode it first"),
        (base64.b64encode(PNG_FILE).decode(), "expected a path, got base64 text; decode it first"),
        ("data:image/png;base64,iVBORw0KGgo", "expected a path, got a data: URL; decode"),
    ],
)
def test_encoded_text_in_place_of_a_path_is_recognised(text: str, seen: str) -> None:
    with pytest.raises(InvalidImageFormatError, match=seen):
        read_image(text)


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("no such file.jpg", "no such file.jpg.*there is none"),
        ("", "image '': expected a file"),
        ("null\0byte", "there is none"),
        ("x" * 5000, "there is none"),
        (__file__ + "/deeper.jpg", "there is none"),
        ("https://example.org/a.jpg", "nothing is downloaded here"),
        ("s3://bucket/a.jpg", "nothing is downloaded here"),
    ],
)
def test_a_path_that_leads_nowhere_is_image_not_found(path: str, seen: str) -> None:
    with pytest.raises(ImageNotFoundError, match=seen):
        read_image(path)
    with pytest.raises(FileNotFoundError):
        read_image(path)


def test_a_directory_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="expected a file, got a directory"):
        read_image(tmp_path)


def test_an_unreadable_file_is_an_image_error_with_its_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # errors shorten long paths, and those of pytest-xdist are long
    path = Path("secret.png")
    path.write_bytes(PNG_FILE)

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    for method in ("open", "stat"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, method, refuse)
            with pytest.raises(ImageError, match=r"secret\.png.*Permission denied") as caught:
                read_image(path)
        assert isinstance(caught.value.__cause__, PermissionError)
        assert not isinstance(caught.value, ImageNotFoundError)


class Reader:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def read(self, _: int) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def closed() -> io.BytesIO:
    file = io.BytesIO(PNG_FILE)
    file.close()
    return file


@pytest.mark.parametrize(
    ("file", "error", "seen"),
    [
        (io.StringIO("text"), InvalidParameterError, "open it in 'rb' mode"),
        (Reader("text"), InvalidParameterError, "open it in 'rb' mode"),
        (Reader(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")), InvalidParameterError, "open it in 'rb' mode"),
        (Reader(None), InvalidParameterError, r"read\(\) gives bytes, got None"),
        (Reader(7), InvalidParameterError, r"read\(\) gives bytes, got 7"),
        (Reader(TimeoutError("slow")), ImageError, r"failed: TimeoutError\('slow'\)"),
        (closed(), ImageError, "closed file"),
    ],
)
def test_a_file_object_that_gives_no_bytes_is_explained(file: Any, error: type[Exception], seen: str) -> None:
    with pytest.raises(error, match=rf"^image: .*{seen}"):
        read_image(file)


def test_a_file_opened_as_text_is_explained_and_left_open(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(JPEG_FILE)
    with path.open() as file:
        with pytest.raises(InvalidParameterError, match="open it in 'rb' mode"):
            read_image(file)  # type: ignore[arg-type]  # the mistake under test
        assert not file.closed


def test_a_file_object_is_read_from_where_it_stands_in_whatever_pieces_it_gives() -> None:
    file = io.BytesIO(b"junk" + PNG_FILE)
    file.seek(4)
    assert read_image(file).width == 100
    with pytest.raises(InvalidImageFormatError, match=r"seek\(0\)"):
        read_image(file)

    class Trickle(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 7, 7))

    assert read_image(Trickle(PNG_FILE)).digest == read_image(PNG_FILE).digest


@pytest.mark.parametrize(
    "value", [None, 7, 1.5, True, [[0]], {"Bytes": b""}, object()], ids=lambda value: type(value).__name__
)
def test_anything_else_is_an_invalid_parameter_that_names_image(value: Any) -> None:
    with pytest.raises(InvalidParameterError, match=r"^image: expected a path, bytes, .* got ") as caught:
        read_image(value)
    assert repr(value)[:40] in str(caught.value)


@pytest.mark.parametrize(
    ("array", "hint"),
    [
        (np.zeros((90, 90, 3), np.float32), r"float32 of shape \(90, 90, 3\); a float picture.*\.round\(\)\.astype"),
        (np.full((90, 90), 256, np.uint16), "uint16 of shape .*image >> 8"),
        (np.full((90, 90), 255, np.uint16), r"uint16 of shape .*8-bit values\? image\.astype\('uint8'\)"),
        (np.full((90, 90), 65536, np.uint32), r"uint32 of shape \(90, 90\)$"),
        (np.zeros((90, 90), bool), "bool of shape .* a mask"),
        (np.full((90, 90, 3), -1, np.int64), r"int64 of shape \(90, 90, 3\)$"),
        (np.full((90, 90, 3), 7, np.int64), r"int64 of shape .*8-bit values"),
        (np.zeros((3, 90, 90), np.uint8), r"channels first\? image\.transpose\(1, 2, 0\)"),
        (np.zeros((1, 90, 90, 3), np.uint8), "a batch"),
        (np.zeros((90, 90, 2), np.uint8), r"uint8 of shape \(90, 90, 2\)$"),
        (np.zeros((3, 90, 90), np.float64), "a float picture.*channels first"),
        (np.frombuffer(PNG_FILE, np.uint8), r"an encoded file\? image\.tobytes\(\)"),
        (np.uint8(3) * np.ones((), np.uint8), r"uint8 of shape \(\)"),
    ],
)
def test_arrays_of_another_kind_get_a_hint(array: npt.NDArray[Any], hint: str) -> None:
    with pytest.raises(InvalidImageFormatError, match=rf"^image: expected a uint8 array of shape .*{hint}"):
        read_image(np.asarray(array))


def test_damaged_and_closed_pil_images_are_image_errors() -> None:
    lazy = opened(PNG_FILE[: len(PNG_FILE) // 2])
    with pytest.raises(InvalidImageFormatError, match=r"^image: expected a PIL image that loads"):
        read_image(lazy)
    gone = opened(PNG_FILE)
    gone.close()
    with pytest.raises(InvalidImageFormatError, match=r"^image: expected a PIL image that loads"):
        read_image(gone)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((90, 90, 3), np.uint8), np.zeros((90, 90), np.uint8), np.zeros((90, 90, 3)), [[0]]],
    ids=["writable", "grey", "float", "list"],
)
def test_a_picture_made_by_hand_must_be_as_read_image_makes_it(pixels: Any) -> None:
    with pytest.raises(InvalidImageFormatError, match=r"^pixels: expected a read-only"):
        Picture(pixels=pixels)


# --- manners


def test_a_picture_is_returned_as_it_is_and_cannot_be_changed() -> None:
    picture = read_image(PNG_FILE)
    assert read_image(picture) is picture
    assert repr(picture) == "Picture(pixels=<(90, 100, 3) uint8>)"
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels[0, 0, 0] = 1
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        picture.encoded_digest = "x"  # type: ignore[misc]  # frozen: the point


def test_later_changes_to_the_source_do_not_reach_the_picture() -> None:
    array, data = noise(90, 100, 3), bytearray(PNG_FILE)
    view = array[:]
    view.flags.writeable = False
    pil = Image.fromarray(array.copy())
    pictures = [read_image(source) for source in (array, view, pil, data)]
    kept = array.copy()
    array[:] = 0
    pil.paste(0, (0, 0, 100, 90))
    data[:] = bytes(len(data))
    for picture in pictures:
        assert np.array_equal(picture.pixels, kept)


def test_nothing_global_in_pillow_or_warnings_changes() -> None:
    def state() -> tuple[Any, ...]:
        return (
            Image.MAX_IMAGE_PIXELS,
            ImageFile.LOAD_TRUNCATED_IMAGES,
            ImageFile.MAXBLOCK,
            list(Image.ID),
            dict(Image.OPEN),
            list(warnings.filters),
        )

    before = state()
    for source in (JPEG_FILE, PNG_FILE, with_exif(JPEG_FILE, b"MM\0*junk"), noise(90, 90, 4), half_clear("PA")):
        read_image(source)
    with pytest.raises(ImageError):
        read_image(PNG_FILE[:-20])
    assert state() == before


def test_pictures_over_pillows_pixel_limit_read_without_its_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read_image(PNG_FILE).width == 100
    assert read_image(JPEG_FILE).width == 120


def test_threads_read_what_one_thread_reads() -> None:
    palette = Image.fromarray(scene()).quantize(16)
    palette.info["transparency"] = bytes([0, 128, 255])
    sources: list[ImageSource] = [
        JPEG_FILE,
        PROGRESSIVE_FILE,
        PNG_FILE,
        palette,
        scene(),
        with_exif(JPEG_FILE, exif(6)),
    ]
    alone = [read_image(source).pixels for source in sources]
    start = threading.Barrier(8)

    def work(_: int) -> bool:
        start.wait()
        return all(
            np.array_equal(read_image(s).pixels, a) for _ in range(10) for s, a in zip(sources, alone, strict=True)
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_no_file_is_left_open(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG_FILE)
    read_image(path)
    path.write_bytes(b"GIF89a")
    with pytest.raises(ImageError):
        read_image(os.fspath(path))
    gc.collect()  # an unclosed file would raise its ResourceWarning here


def test_limits_are_aws_limits() -> None:
    assert (module.MAX_BYTES, module.MAX_FILE_BYTES) == (5_242_880, 15 * 1024 * 1024)
    assert (module.MIN_SIDE, module.MAX_SIDE) == (80, 10_000)
