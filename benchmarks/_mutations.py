"""Mutations of files for `fuzz.py`: of bits and bytes, and of the parts that a format is made of, checksums put right again."""

import struct
import zlib
from collections.abc import Callable, Sequence
from random import Random

__all__ = ["INTERESTING", "mutated", "mutated_bytes", "mutated_http", "mutated_json"]

Mutator = Callable[[bytes, Random], bytes]
INTERESTING = (0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
_PNG = b"\x89PNG\r\n\x1a\n"


def mutated(data: bytes, draw: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return a file with 1 to 5 mutations, of its parts where its format is known and else of its bytes.

    Parameters
    ----------
    data
        A file.
    draw
        Where all chance comes from.
    others
        Files to take pieces from.
    """
    for _ in range(draw.choice((1, 1, 1, 2, 3, 5))):
        part_wise = next((change for magic, change in _BY_MAGIC if data.startswith(magic)), None)
        if part_wise is not None and draw.random() < 0.5:
            data = part_wise(data, draw)
        elif others and draw.random() < 0.1:
            other = draw.choice(others)
            data = data[: draw.randrange(len(data) + 1)] + other[draw.randrange(len(other) + 1) :]
        else:
            data = mutated_bytes(data, draw)
    return data


def mutated_bytes(data: bytes, draw: Random) -> bytes:  # noqa: PLR0911  # one for each kind of mutation
    """Return a file with one mutation that knows nothing of its format."""
    if not data:
        return draw.randbytes(draw.randrange(64))
    # The first bytes of a file decide most.
    start = draw.randrange(min(len(data), 128)) if draw.random() < 0.4 else draw.randrange(len(data))
    end = min(start + draw.choice((1, 1, 2, 4, 16, 256, 4096)), len(data))
    match draw.randrange(8):
        case 0:
            return data[:start] + bytes([data[start] ^ 1 << draw.randrange(8)]) + data[start + 1 :]
        case 1:
            return data[:start] + draw.randbytes(end - start) + data[end:]
        case 2:
            return data[:start] + data[end:]
        case 3:
            return data[:start] + data[start:end] * draw.choice((2, 3, 50)) + data[end:]
        case 4:
            return data[:start]
        case 5:
            return data[:start] + draw.choice((b"\0", b"\xff")) * (end - start) + data[end:]
        case 6:
            size, order = draw.choice((1, 2, 4)), draw.choice(("<", ">"))
            number = struct.pack(f"{order}{ {1: 'B', 2: 'H', 4: 'I'}[size] }", draw.choice(INTERESTING) % 256**size)
            return data[:start] + number + data[start + size :]
        case _:
            return data[:start] + draw.randbytes(draw.choice((1, 4, 64))) + data[start:]


def mutated_parts(parts: list[bytes], draw: Random, change: Mutator) -> list[bytes]:
    """Leave out, repeat, exchange or change one of a file's parts."""
    if not parts:
        return parts
    place, other = draw.randrange(len(parts)), draw.randrange(len(parts))
    match draw.randrange(5):
        case 0:
            del parts[place]
        case 1:
            parts[place:place] = [parts[place]] * draw.choice((1, 1, 2, 100))
        case 2:
            parts[place], parts[other] = parts[other], parts[place]
        case _:
            parts[place] = change(parts[place], draw)
    return parts


def _png(data: bytes, draw: Random) -> bytes:
    chunks, place = [], len(_PNG)
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        chunks.append(data[place + 4 : place + 8 + size])
        place += 12 + size
    chunks = mutated_parts(chunks, draw, _png_chunk)
    return _PNG + b"".join(
        struct.pack(">I", max(len(chunk) - 4, 0)) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


def _png_chunk(chunk: bytes, draw: Random) -> bytes:
    kind, content = chunk[:4], chunk[4:]
    if kind == b"IHDR" and draw.random() < 0.7:
        numbers = [draw.choice((*INTERESTING, 80, 100, 10_000)) % 2**31 for _ in range(2)]
        fields = [draw.choice((1, 2, 4, 8, 16, 3)), draw.choice((0, 2, 3, 4, 6)), 0, 0, draw.choice((0, 1, 2))]
        return kind + struct.pack(">II5B", *numbers, *fields)
    if kind == b"IDAT" and draw.random() < 0.5:  # what is compressed, not its compression
        try:
            return kind + zlib.compress(mutated_bytes(zlib.decompress(content), draw))
        except zlib.error:
            pass
    return draw.choice((kind, kind, kind, b"tEXt", b"eXIf", b"acTL", b"tRNS")) + mutated_bytes(content, draw)


def _jpeg(data: bytes, draw: Random) -> bytes:
    segments, place = [], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        segments.append(data[place:end])
        place = end
    scan = data[place:]
    if draw.random() < 0.1:
        scan = mutated_bytes(scan, draw)
    return b"\xff\xd8" + b"".join(mutated_parts(segments, draw, _jpeg_segment)) + scan


def _jpeg_segment(segment: bytes, draw: Random) -> bytes:
    marker, content = segment[1:2], mutated_bytes(segment[4:], draw)[:65533]
    if draw.random() < 0.2:
        marker = bytes([draw.choice((0xC0, 0xC1, 0xC2, 0xC4, 0xD8, 0xD9, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE))])
    size = len(content) + 2 if draw.random() < 0.9 else draw.choice(INTERESTING) % 65536
    return b"\xff" + marker + struct.pack(">H", size) + content


def _riff(data: bytes, draw: Random) -> bytes:
    chunks, place = [], 12
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        chunks.append(data[place : place + 8 + size + size % 2])
        place += 8 + size + size % 2
    body = b"".join(mutated_parts(chunks, draw, mutated_bytes))
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _tiff(data: bytes, draw: Random) -> bytes:
    """Change an entry of the first directory."""
    order = "<" if data.startswith(b"II") else ">"
    try:
        (directory,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, directory)
        entry = directory + 2 + 12 * draw.randrange(max(count, 1))
        changed = bytearray(data)
        place, size = draw.choice(((0, "H"), (2, "H"), (4, "I"), (8, "I")))
        struct.pack_into(
            f"{order}{size}", changed, entry + place, draw.choice(INTERESTING) % (65536 if size == "H" else 2**32)
        )
    except struct.error:
        return mutated_bytes(data, draw)
    return bytes(changed)


_BY_MAGIC: tuple[tuple[bytes, Mutator], ...] = (
    (_PNG, _png),
    (b"\xff\xd8", _jpeg),
    (b"RIFF", _riff),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
)

_JSON = (
    "null",
    "NaN",
    "1e999",
    "-0",
    "[]",
    "{}",
    '""',
    '"\\ud800"',
    "9" * 5000,
    "[" * 2000,
    '{"a":' * 200,
    "true",
    "1.5",
    "\x00",
)


def mutated_json(text: str, draw: Random) -> bytes:
    """Return JSON with a piece exchanged for another one, or with a member twice, or with its bytes changed."""
    places = [place for place, letter in enumerate(text) if letter in ',:[]{}"'] or [0]
    start, end = sorted((draw.choice(places), draw.choice(places)))
    match draw.randrange(4):
        case 0:
            return (text[: start + 1] + draw.choice(_JSON) + text[end:]).encode("utf-8", "surrogatepass")
        case 1:
            return (text[:end] + text[start:]).encode()
        case 2:
            return draw.choice(_JSON).encode("utf-8", "surrogatepass")
        case _:
            return mutated_bytes(text.encode(), draw)


_HEAD_LINES = (
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: 1, 1",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding:\tchunked",
    b"Expect: 100-continue",
    b"Host: other.example",
    b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13",
    b"Connection: upgrade\r\nUpgrade: h2c",
    b"X: " + b"a" * 70_000,
    b"X-Amz-Target: RekognitionService.ListCollections",
    b"X-Amz-Target: \xff\xfe",
    b"Authorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=;, Signature=",
    b": no name",
    b" folded",
    b"no colon",
    b"\x00: \x00",
)


def mutated_http(request: bytes, draw: Random) -> bytes:
    """Return a request over HTTP with lines of its head changed, or its bytes."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    for _ in range(draw.choice((1, 1, 2, 4))):
        place = draw.randrange(len(lines) + 1)
        match draw.randrange(6):
            case 0 | 1:
                lines.insert(max(place, 1), draw.choice(_HEAD_LINES))
            case 2:
                del lines[place : place + 1]
            case 3:
                lines = [mutated_bytes(line, draw) if number == place else line for number, line in enumerate(lines)]
            case 4:
                body = mutated_bytes(body, draw)
            case _:
                lines[0:1] = [
                    draw.choice(
                        (b"GET /health HTTP/1.0", b"PRI * HTTP/2.0", b"OPTIONS * HTTP/1.1", b"POST / HTTP/9.9", b"")
                    )
                ]
        lines = lines or [b""]
    changed = (
        (b"\r\n" if draw.random() < 0.9 else draw.choice((b"\n", b"\r", b"\r\n\r\n"))).join(lines) + b"\r\n\r\n" + body
    )
    return mutated_bytes(changed, draw) if draw.random() < 0.2 else changed
