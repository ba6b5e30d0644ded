"""Files of collections as older versions wrote them."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

import facesearch as fs
from facesearch.common.arrays import FloatArray
from facesearch.storage import schema as database

__all__ = ["file_of_format_1", "file_of_format_3"]


def file_of_format_1(path: Path) -> tuple[str, FloatArray]:
    """One written by hand, with ada, who has a face, and bob, who has none; gives the face's id and vector."""
    vector, face_id, salt = (
        (np.random.default_rng(0).normal(size=128) * 0.08).astype(np.float32),
        "0123456789abcdef" * 2,
        b"0123456789abcdef",
    )
    model = fs.Collection("x").face_model
    hashes = [
        int.from_bytes(hashlib.blake2b(name, key=salt, digest_size=8).digest(), "little", signed=True)
        for name in (b"ada", b"bob")
    ]
    with closing(sqlite3.connect(path)) as sql:
        for statement in database.MIGRATIONS[0]:
            sql.execute(statement)
        sql.execute("UPDATE file SET salt = ?", (salt,))
        row = (7, "staff", 1e9, model.name, model.version, model.digest, model.dimension, None, 0, 2, 1, 2, 0)
        sql.execute(f"INSERT INTO collections VALUES ({','.join('?' * len(row))})", row)  # noqa: S608  # question marks
        sql.executemany("INSERT INTO users VALUES (?, 7, ?, ?, ?)", [(3, hashes[0], 1, 1), (4, hashes[1], 0, 2)])
        sql.executemany(
            "INSERT INTO user_data VALUES (?, ?, ?)", [(3, vector.tobytes(), "ada"), (4, bytes(vector.nbytes), "bob")]
        )
        sql.execute("INSERT INTO faces VALUES (5, 7, ?, 3)", (bytes.fromhex(face_id),))
        sql.execute("INSERT INTO face_data (fid, vector, confidence) VALUES (5, ?, 99.5)", (vector.tobytes(),))
        sql.commit()
        sql.execute("PRAGMA journal_mode = WAL")
        sql.execute(f"PRAGMA application_id = {0x66616365}")
        sql.execute("PRAGMA user_version = 1")
    return "01234567-89ab-cdef-0123-456789abcdef", vector


def file_of_format_3(path: Path, *, answer: str) -> None:
    """One as of format 1, brought to format 3, with a remembered answer."""
    file_of_format_1(path)
    with closing(sqlite3.connect(path)) as sql:
        for step in database.MIGRATIONS[1:3]:
            for statement in step:
                sql.execute(statement)
        sql.execute("INSERT INTO answers VALUES (7, X'01', X'02', ?, 1e18)", (answer,))
        sql.execute("PRAGMA user_version = 3")
        sql.commit()
