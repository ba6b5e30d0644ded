"""The file formats beyond JPEG and PNG: the right picture, upright, or an error; every file here is made on the spot."""

import io
import struct
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image, ImageFile, ImageOps

from facesearch.enrolment.folder_plan import PHOTO_SUFFIXES
from facesearch.errors import ImageError, ImageTooLargeError, InvalidImageFormatError, InvalidParameterError
from facesearch.images.formats.kinds import FORMATS, format_of
from facesearch.images.reading import read_image

Pixels = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 120, 96


def scene() -> Pixels:
    """Smooth and without symmetry, so that lossy formats keep it and no two orientations look alike."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x * 255 // WIDTH, y * 255 // HEIGHT, (x + 2 * y) * 80 // WIDTH], axis=2).astype(np.uint8)


def encoded(picture: Image.Image | Pixels, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    if kind == "HEIC":
        pillow_heif.from_pillow(image).save(file, **{"quality": 95, **options})
    else:
        image.save(file, kind, **options)
    return file.getvalue()


LOSSLESS: dict[str, tuple[str, dict[str, Any]]] = {
    "webp": ("WEBP", {"lossless": True}),
    "tiff plain": ("TIFF", {}),
    "tiff lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "tiff packbits": ("TIFF", {"compression": "packbits"}),
    "tiff in strips": ("TIFF", {"strip_size": 2000}),
    "tiff lzw in strips": ("TIFF", {"compression": "tiff_lzw", "strip_size": 2000}),
    "big-endian tiff": ("TIFF", {"big_endian": True}),
}
LOSSY: dict[str, tuple[str, dict[str, Any]]] = {
    "webp lossy": ("WEBP", {"quality": 95}),
    "tiff jpeg": ("TIFF", {"compression": "jpeg", "quality": 95}),
    "avif": ("AVIF", {"quality": 95}),
    "heic": ("HEIC", {}),
}
FILES = {name: encoded(scene(), kind, **options) for name, (kind, options) in (LOSSLESS | LOSSY).items()}
FILES["gif"] = encoded(Image.fromarray(scene()).quantize(64), "GIF")
EVERY_FILE = pytest.mark.parametrize("name", FILES)


def survives(data: bytes) -> Pixels | None:
    try:
        return read_image(data).pixels
    except ImageError as error:
        if not str(error).startswith("image: expected "):
            raise
        return None


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_files_give_the_exact_pixels(name: str) -> None:
    assert np.array_equal(read_image(FILES[name]).pixels, scene())


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_files_give_nearly_the_same_pixels(name: str) -> None:
    assert np.abs(read_image(FILES[name]).pixels.astype(int) - scene()).mean() < 3


def test_a_gif_gives_what_pillow_gives() -> None:
    with Image.open(io.BytesIO(FILES["gif"])) as image:
        assert np.array_equal(read_image(FILES["gif"]).pixels, np.asarray(image.convert("RGB")))


def test_each_format_is_told_by_its_bytes_and_named_in_the_list_of_formats() -> None:
    files = [*FILES.values(), encoded(scene(), "JPEG"), encoded(scene(), "PNG")]
    assert {format_of(data) for data in files} == set(FORMATS)
    for data in files:
        kind = format_of(data)
        assert kind
        assert read_image(data, formats=[kind]).width == WIDTH
        with pytest.raises(InvalidImageFormatError, match=r"^image: expected a.* got a"):
            read_image(data, formats=[each for each in FORMATS if each != kind])


@pytest.mark.parametrize("formats", [[], "JPEG", ["jpeg"], None, 7, ["EPS"]])
def test_formats_is_a_list_of_known_ones(formats: Any) -> None:
    with pytest.raises(InvalidParameterError, match=r"^formats: expected one or more of JPEG, PNG"):
        read_image(scene(), formats=formats)


def test_the_endings_of_files_in_folders_follow_the_formats() -> None:
    assert {".jpg", ".png", ".webp", ".tif", ".tiff", ".gif", ".heic", ".heif", ".avif"} <= PHOTO_SUFFIXES


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


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "AVIF", "HEIC"])
def test_every_orientation_of_every_format_gives_the_same_upright_picture(kind: str, orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](scene())))
    tags = Image.Exif()
    tags[0x0112] = orientation
    fine: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "AVIF": {"quality": 95}}
    options = fine.get(kind, {})
    options["exif"] = tags.tobytes() if kind == "HEIC" else tags
    file = encoded(stored, kind, **options)
    pixels = read_image(file).pixels
    assert pixels.shape == scene().shape
    assert np.abs(pixels.astype(int) - scene()).mean() < 3
    if kind != "HEIC":  # a caller's own PIL image of the same file
        with Image.open(io.BytesIO(file)) as image:
            assert np.array_equal(read_image(image).pixels, pixels)
            ImageOps.exif_transpose(image, in_place=True)
            assert np.array_equal(read_image(image).pixels, pixels)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF", "TIFF"])
def test_malformed_exif_is_ignored_without_a_warning(kind: str) -> None:
    tags = Image.Exif()
    tags[0x010F] = "a maker whose name is long"
    if kind == "TIFF":
        file = tiff(rgb_tags(90, t296=(3, [2])), bytes(90 * 90 * 3))
        at = file.rindex(struct.pack("<HH", 296, 3))
        file = file[:at] + struct.pack("<HHLL", 296, 2, 99, 1 << 30) + file[at + 12 :]
    else:
        file = encoded(scene(), kind, exif=tags)
        at = (
            file.index(struct.pack(">HH", 0x010F, 2)) if b"MM\0*" in file else file.index(struct.pack("<HH", 0x010F, 2))
        )
        file = file[: at + 8] + b"\x7f\xff\xff\x7f" + file[at + 12 :]  # the text lies beyond the file
    with pytest.warns(UserWarning, match="Corrupt|larger|Truncated|Skipping"), Image.open(io.BytesIO(file)) as image:
        image.getexif()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(file).width in {WIDTH, 90}


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "GIF", "AVIF", "HEIC"])
def test_what_is_transparent_turns_white_in_every_format(kind: str) -> None:
    layer = Image.new("RGBA", (100, 90), (0, 0, 0, 0))
    layer.paste((77, 77, 77, 255), (0, 0, 50, 90))
    pixels = read_image(encoded(layer, kind, **({"lossless": True} if kind == "WEBP" else {}))).pixels
    assert np.abs(pixels[:, :48].astype(int) - 77).max() <= 3
    assert pixels[:, 52:].min() >= 252


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "GIF", "AVIF", "HEIC"])
def test_files_of_several_pictures_give_the_first(kind: str) -> None:
    first, second = (Image.new("RGB", (100, 90), colour) for colour in ((200, 30, 30), (30, 30, 200)))
    if kind == "HEIC":
        heif, file = pillow_heif.from_pillow(first), io.BytesIO()
        heif.add_from_pillow(second)
        heif.save(file)
        data = file.getvalue()
    else:
        data = encoded(first, kind, save_all=True, append_images=[second])
    assert np.abs(read_image(data).pixels.astype(int) - (200, 30, 30)).max() <= 6


def test_a_gif_frame_smaller_than_its_canvas_stands_on_white() -> None:
    small = encoded(Image.new("P", (50, 40), 0), "GIF")
    palette = bytes([200, 30, 30]) + bytes(5)
    head = small[:6] + struct.pack("<HH", 100, 90) + small[10:13] + palette[:3] + small[16:]
    at = head.index(b",\0\0\0\0" + struct.pack("<HH", 50, 40))
    data = head[: at + 1] + struct.pack("<HH", 30, 20) + head[at + 5 :]
    pixels = read_image(data).pixels
    assert pixels.shape == (90, 100, 3)
    assert (pixels[20:60, 30:80] == (200, 30, 30)).all()
    pixels = pixels.copy()
    pixels[20:60, 30:80] = 255
    assert (pixels == 255).all()


@pytest.mark.parametrize("interlaced", [False, True])
def test_interlaced_gifs_read_as_pillow_reads_them(interlaced: bool) -> None:
    data = encoded(Image.fromarray(scene()).quantize(16), "GIF", interlace=interlaced)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(read_image(data).pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_tiffs_of_every_mode_read_as_their_pil_images(mode: str, compression: str | None) -> None:
    picture = Image.fromarray(scene()).convert(mode)
    data = encoded(picture, "TIFF", compression=compression)
    if mode == "YCbCr":  # which Pillow itself reads or not, by its version and the compression
        survives(data)
        return
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(read_image(data).pixels, read_image(image).pixels)
    if mode != "CMYK":
        assert np.array_equal(read_image(data).pixels, read_image(picture).pixels)


def test_sixteen_bit_tiffs_are_scaled_by_what_their_values_say() -> None:
    small = np.repeat(np.arange(96, dtype=np.uint16)[:, None], 100, axis=1)
    for values, right in ((small, small), (small << 8, small), ((small << 8) + 77, small)):
        pixels = read_image(encoded(Image.fromarray(values), "TIFF")).pixels
        assert np.array_equal(pixels[:, :, 0], right)


def test_a_tiff_of_floats_is_refused_with_a_hint() -> None:
    with pytest.raises(InvalidImageFormatError, match="floats, whose scale is not known: write them as uint8"):
        read_image(encoded(Image.fromarray(np.ones((90, 90), np.float32)), "TIFF"))


def tiff(tags: dict[int, tuple[int, list[int]]], data: bytes) -> bytes:
    """A little-endian TIFF whose pixels stand at offset 8."""
    at, extra = 8 + len(data) + 2 + 12 * len(tags) + 4, b""
    entries = b""
    for tag, (kind, values) in sorted(tags.items()):
        raw = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'L'}", *values)
        if len(raw) > 4:
            raw, extra = struct.pack("<L", at + len(extra)), extra + raw
        entries += struct.pack("<HHL", tag, kind, len(values)) + raw.ljust(4, b"\0")
    return (
        b"II*\0" + struct.pack("<L", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + bytes(4) + extra
    )


def rgb_tags(side: int, **others: tuple[int, list[int]]) -> dict[int, tuple[int, list[int]]]:
    tags = {256: (4, [side]), 257: (4, [side]), 258: (3, [8, 8, 8]), 259: (3, [1]), 262: (3, [2]), 273: (4, [8])}
    tags |= {277: (3, [3]), 278: (4, [side]), 279: (4, [3 * side * side])}
    return tags | {int(tag[1:]): value for tag, value in others.items()}


@pytest.mark.parametrize("tag", [256, 257, 259, 262, 266, 277, 278, 284, 317])
def test_of_a_tiff_tag_with_too_many_values_the_first_counts_without_a_warning(tag: int) -> None:
    values = {256: 90, 257: 90, 259: 1, 262: 2, 266: 1, 277: 3, 278: 90, 284: 1, 317: 1}
    kind = 4 if tag in {256, 257, 278} else 3
    pixels = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    file = tiff({**rgb_tags(90), tag: (kind, [values[tag], values[tag], 7])}, pixels.tobytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(read_image(file).pixels, pixels)


def test_a_plain_tiff_of_our_own_reads_exactly() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    assert np.array_equal(read_image(tiff(rgb_tags(90), pixels.tobytes())).pixels, pixels)
    tiles = np.zeros((2, 2, 48, 48, 3), np.uint8)
    padded = np.zeros((96, 96, 3), np.uint8)
    padded[:90, :90] = pixels
    for row in range(2):
        for column in range(2):
            tiles[row, column] = padded[row * 48 :, column * 48 :][:48, :48]
    tags = {tag: value for tag, value in rgb_tags(90).items() if tag not in {273, 278, 279}}
    size = 48 * 48 * 3
    tags |= {322: (3, [48]), 323: (3, [48]), 324: (4, [8 + size * i for i in range(4)]), 325: (4, [size] * 4)}
    assert np.array_equal(read_image(tiff(tags, tiles.tobytes())).pixels, pixels)


@pytest.mark.parametrize(
    ("others", "seen"),
    [
        ({"t273": (4, [1 << 30])}, "a strip or tile breaks off"),
        ({"t279": (4, [100])}, "a strip or tile breaks off"),
        ({"t278": (4, [1])}, "not as many strips or tiles"),
        ({"t278": (4, [0])}, "its strips are empty"),
        ({"t277": (3, [200])}, "1 to 5 samples"),
        ({"t259": (3, [6])}, "got compression 6"),
        ({"t259": (3, [50000])}, "got compression 50000"),
        ({"t258": (3, [8, 8, 16])}, "of one depth"),
        ({"t322": (4, [60_000]), "t323": (4, [60_000]), "t324": (4, [8]), "t325": (4, [100])}, "tiles are larger"),
        ({"t322": (4, [1]), "t323": (4, [1]), "t324": (4, [8]), "t325": (4, [100])}, "not as many strips or tiles"),
    ],
)
def test_hostile_tiffs_are_refused_by_their_directory(others: dict[str, Any], seen: str) -> None:
    with pytest.raises(InvalidImageFormatError, match=seen):
        read_image(tiff(rgb_tags(90, **others), bytes(90 * 90 * 3)))


def test_sixteen_bit_colour_tiffs_of_eight_bit_values_are_refused_with_a_hint() -> None:
    values = np.full((90, 90, 3), 200, "<u2")
    tags = rgb_tags(90, t258=(3, [16, 16, 16]), t279=(4, [values.nbytes]))
    with pytest.raises(InvalidImageFormatError, match="16-bit samples that are all below 256: write them as uint8"):
        read_image(tiff(tags, values.tobytes()))
    assert (read_image(tiff(tags, (values << 8).tobytes())).pixels == 200).all()


def test_a_directory_that_points_to_itself_or_counts_millions_of_values_ends_at_once() -> None:
    data = tiff(rgb_tags(90), bytes(90 * 90 * 3))
    start = int.from_bytes(data[4:8], "little")
    looped = data[: start + 2 + 12 * 9] + struct.pack("<L", start) + data[start + 2 + 12 * 9 + 4 :]
    assert read_image(looped).width == 90
    many = rgb_tags(90)
    many[273] = (4, [8])
    file = bytearray(tiff(many, bytes(90 * 90 * 3)))
    at = file.index(struct.pack("<HHL", 273, 4, 1), start)
    file[at + 4 : at + 8] = struct.pack("<L", 0xFFFFFFFF)
    assert survives(bytes(file)) is None


def bomb(kind: str, side: int) -> bytes:
    """A small file that claims *side* pixels."""
    if kind == "GIF":
        data = bytearray(FILES["gif"])
        data[6:10] = struct.pack("<HH", side, side)
        return bytes(data)
    if kind == "TIFF":
        return tiff(rgb_tags(side), bytes(100))
    if kind == "WEBP":
        data = bytearray(FILES["webp"])
        data[12:16] = b"VP8X"
        body = b"\x02\0\0\0" + (side - 1).to_bytes(3, "little") * 2
        return b"RIFF" + struct.pack("<L", 22) + b"WEBPVP8X" + struct.pack("<L", 10) + body
    name = "avif" if kind == "AVIF" else "heic"
    ispe = FILES[name].index(b"ispe")
    return FILES[name][: ispe + 8] + struct.pack(">LL", side, side) + FILES[name][ispe + 16 :]


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "AVIF", "HEIC"])
def test_a_bomb_is_refused_before_anything_is_decoded(kind: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_image(bomb(kind, 16_000))
    if kind != "HEIC":  # libheif itself refuses a size that the coded picture does not have
        assert isinstance(caught.value, ImageTooLargeError)
        assert "got 16000 x 16000" in str(caught.value)


GIF_HEAD = b"GIF89a" + struct.pack("<HHBBB", 100, 90, 0, 0, 0)
SLOW = {  # none may cost more than its length asks for: the first took minutes when each of its tags was read
    "a tag of 400,000 values, 65,535 times": b"II*\0\x08\0\0\0\xff\xff"
    + struct.pack("<HHLL", 256, 4, 400_000, 1_000_000) * 65_535
    + bytes(4_000_000),
    "a GIF of empty extensions": GIF_HEAD + b"!\0\0" * 1_000_000,
    "a GIF frame of blocks of one byte": GIF_HEAD
    + b","
    + struct.pack("<4HBB", 0, 0, 100, 90, 0, 8)
    + b"\1\0" * 1_000_000,
    "a WebP of empty chunks": b"RIFF" + struct.pack("<L", 8_000_004) + b"WEBP" + b"abcd\0\0\0\0" * 1_000_000,
    "an AVIF of empty boxes": b"\0\0\0\x18ftypavif\0\0\0\0avifavif" + b"\0\0\0\x08free" * 1_000_000,
    "a HEIC of empty boxes": b"\0\0\0\x18ftypheic\0\0\0\0heicheic" + b"\0\0\0\x08free" * 1_000_000,
}


@pytest.mark.parametrize("data", SLOW.values(), ids=SLOW)
def test_files_made_to_be_slow_are_refused(data: bytes) -> None:
    assert survives(memoryview(data)[: 5 << 20].tobytes()) is None


@EVERY_FILE
def test_a_limit_of_pixels_is_heeded_by_every_format(name: str) -> None:
    assert read_image(FILES[name], max_pixels=WIDTH * HEIGHT).width == WIDTH
    with pytest.raises(
        ImageTooLargeError, match=f"expected at most {WIDTH * HEIGHT - 1:,} pixels, got {WIDTH} x {HEIGHT}"
    ):
        read_image(FILES[name], max_pixels=WIDTH * HEIGHT - 1)


@EVERY_FILE
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_raise_nothing_but_image_errors(name: str, data: st.DataObject) -> None:
    damaged = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    survives(bytes(damaged))


@EVERY_FILE
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_truncated_file_is_refused_unless_all_its_pixels_are_there(name: str, data: st.DataObject) -> None:
    careless = data.draw(st.booleans())
    ImageFile.LOAD_TRUNCATED_IMAGES = careless
    try:
        pixels = survives(FILES[name][: data.draw(st.integers(0, len(FILES[name]) - 1))])
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    if pixels is not None:
        assert np.array_equal(pixels, read_image(FILES[name]).pixels)


def test_a_tiff_strip_of_too_many_jpeg_scans_is_refused() -> None:
    file = encoded(scene(), "JPEG", progressive=True)
    last = file.rindex(b"\xff\xda")
    scans = file[:-2] + file[last:-2] * 40 + file[-2:]
    tags = rgb_tags(90, t256=(4, [WIDTH]), t257=(4, [HEIGHT]), t278=(4, [HEIGHT]), t259=(3, [7]), t262=(3, [6]))
    tags[279] = (4, [len(scans)])
    with pytest.raises(InvalidImageFormatError, match="more than 32 scans"):
        read_image(tiff(tags, scans))


def test_a_heic_without_its_reader_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from facesearch.images.formats import heif

    monkeypatch.setattr(heif, "_READERS", ("no_such_module",))
    with pytest.raises(InvalidImageFormatError, match=r'pip install "facesearch\[heic\]"'):
        read_image(FILES["heic"])


@EVERY_FILE
def test_pillows_own_limit_of_pixels_makes_no_warning(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT - 1)
    assert read_image(FILES[name]).width == WIDTH


def test_reading_registers_no_plugin_with_pillow() -> None:
    before = list(Image.ID), dict(Image.OPEN), dict(Image.EXTENSION)
    for data in FILES.values():
        read_image(data)
    assert (list(Image.ID), dict(Image.OPEN), dict(Image.EXTENSION)) == before
