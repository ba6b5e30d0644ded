"""Time and memory of reading small files that hold the largest pictures: 10,000 x 10,000 pixels, all of one colour.

Protocol
--------
Each file is written here, then read once by `read_image` in a process of its own. Printed are the file's bytes, the seconds of that
call, and how far it raised the most memory the process has held, in bytes a pixel of the picture.
"""

import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _machine import memory_mb, print_machine
from PIL import Image

from facesearch.images.reading import MAX_SIDE, read_image

KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "png-1": ("PNG", "1", {}),
    "png-L": ("PNG", "L", {}),
    "png-P": ("PNG", "P", {}),
    "png-RGB": ("PNG", "RGB", {}),
    "png-RGBA": ("PNG", "RGBA", {}),
    "png-I;16": ("PNG", "I;16", {}),
    "jpeg": ("JPEG", "RGB", {}),
    "jpeg-progressive": ("JPEG", "RGB", {"progressive": True, "subsampling": 0}),
    "gif": ("GIF", "P", {}),
    "tiff-deflate": ("TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
    "webp": ("WEBP", "RGB", {"lossless": True, "method": 0}),
    "avif": ("AVIF", "RGB", {"speed": 10}),
}


def main() -> None:
    """Write each file, and read it in a process of its own."""
    print_machine()
    print(f"{'file':<18} {'bytes':>10} {'seconds':>8} {'bytes a pixel':>14}")
    with tempfile.TemporaryDirectory() as folder:
        for name, (kind, mode, options) in KINDS.items():
            file = Path(folder, "picture")
            Image.new(mode, (MAX_SIDE, MAX_SIDE)).save(file, kind, **options)
            print(f"{name:<18} {file.stat().st_size:>10,}", end=" ", flush=True)
            subprocess.run([sys.executable, __file__, str(file)], check=True)  # noqa: S603  # this script


def read(file: Path) -> None:
    """Read one file, and print what it took."""
    data, before, start = io.BytesIO(file.read_bytes()), memory_mb(most=True), time.perf_counter()
    read_image(data)
    seconds = time.perf_counter() - start
    print(f"{seconds:8.2f} {(memory_mb(most=True) - before) * 2**20 / MAX_SIDE**2:14.1f}")


if __name__ == "__main__":
    read(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
