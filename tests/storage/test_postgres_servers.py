"""Collections on servers as others run them: a replica, a failover, TLS, a full disk, a pooler."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

import facesearch as fs
from durable import contents
from facesearch.storage import catalog
from postgres_server import schema_of, server, started
from tls_proxy import make_certificate, tls_before
from waiting import soon

ONES = np.ones(128)
EYE = np.eye(128)


@pytest.fixture
def schema(tmp_path: Path) -> str:
    return schema_of(tmp_path)


# -------------------------------------------------------------------- replicas


def test_a_replica_searches_follows_and_takes_over() -> None:
    primary = started()
    first = fs.Collection.open(primary.url("faces"), "staff", exact=False)
    first.add_embeddings(["ada", "bob"], EYE[:2])
    standby = primary.replica()
    both = primary.url("faces").replace("host=", f"target_session_attrs=read-write&host={standby.folder.parent},", 1)
    try:
        for read_only in (None, True, False):
            with fs.Collection.open(standby.url("faces"), "staff", read_only=read_only) as replica:
                assert contents(replica) == contents(first)
                with pytest.raises(fs.StorageReadOnlyError, match=r"primary"):
                    replica.create_user("eve")
        with fs.Collection.open(standby.url("faces"), "staff", read_only=True) as replica:
            fs.Collection.open(primary.url("faces"), "guests").close()
            first.add_embedding("eve", EYE[2])
            assert soon(lambda: "eve" in replica)
            with pytest.raises(fs.StorageReadOnlyError, match="no approximate index of these users"):
                fs.Collection.open(standby.url("faces"), "guests", read_only=True, exact=False)
            assert replica.search_embedding(EYE[2], max_users=1)[0].user.user_id == "eve"
            with fs.Collection.open(standby.url("faces"), "staff", read_only=True, exact=False) as quick:
                assert quick.search_embedding(EYE[2], max_users=1)[0].user.user_id == "eve"
        with pytest.raises(fs.StorageReadOnlyError):
            fs.delete_collection(standby.url("faces"), "staff")
        assert not catalog.erase_deleted(standby.url("faces")) or catalog.is_erased(standby.url("faces"))
        first.delete_user("eve", faces=True)
        erasing = catalog.database_of(primary.url("faces"), 5)
        erased = erasing.erase(5)
        assert any("1 replicas" in place for place in erased.beyond), erased
        erasing.close()
        with fs.Collection.open(both, "staff") as staff:
            staff.add_embedding("fay", EYE[3])
            before = contents(staff)
            assert soon(
                lambda: standby.run("SELECT count(*) FROM faces.users WHERE user_id = 'fay' AND faces = 1") == [(1,)]
            )
            primary.kill()
            standby.control("promote")
            assert contents(staff) == before  # on the other server
            staff.add_embedding("gus", EYE[4])
            assert "gus" in staff
    finally:
        first.close()
        standby.stop()
        primary.stop()


# -------------------------------------------------------------------- TLS


def test_tls_is_checked_as_the_address_asks(tmp_path: Path, schema: str) -> None:
    right, key = make_certificate(tmp_path, "127.0.0.1")
    other, other_key = make_certificate(tmp_path, "db.example")
    socket = server().folder.parent / ".s.PGSQL.5432"

    def address(port: int, **options: Any) -> str:
        given = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgresql://postgres:hunter2@127.0.0.1:{port}/postgres?schema={schema}&gssencmode=disable&{given}"

    with tls_before(socket, right, key) as port:
        with fs.Collection.open(address(port, sslmode="verify-full", sslrootcert=right), "staff") as staff:
            staff.add_embedding("ada", ONES)
            assert staff.search_embedding(ONES, max_users=1)[0].user.user_id == "ada"
        for options in (
            {"sslmode": "verify-full", "sslrootcert": other},
            {"sslmode": "verify-ca", "sslrootcert": other},
        ):
            with pytest.raises(fs.StorageError, match=r"certificate verify failed.*; check sslrootcert") as error:
                fs.Collection.open(address(port, **options), "staff")
            assert "hunter2" not in str(error.value)
        with pytest.raises(
            fs.StorageError, match=r"no connection .*; name the file .* by sslrootcert|check sslrootcert"
        ):
            fs.Collection.open(address(port, sslmode="verify-full", sslrootcert=tmp_path / "missing.crt"), "staff")
    with (
        tls_before(socket, other, other_key) as port,
        pytest.raises(fs.StorageError, match="the name of the host in the address"),
    ):
        fs.Collection.open(address(port, sslmode="verify-full", sslrootcert=other), "staff")
    # A server without TLS.
    plain = started(settings="listen_addresses = '127.0.0.1'", port=port)
    try:
        with pytest.raises(fs.StorageError, match="switch TLS on at the server"):
            fs.Collection.open(address(port, sslmode="require"), "staff")
    finally:
        plain.stop()


# -------------------------------------------------------------------- a full disk


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of some megabytes."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        command = ["mount", "-t", "tmpfs", "-o", f"size=16m,uid={server().user or 0}", "tmpfs", name]
        if os.geteuid() != 0 or subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode:  # noqa: S603  # our own
            pytest.skip("only root can mount a small disk, and not in every container")
        folder.parent.joinpath(folder.name).chmod(0o755)
        try:
            yield folder
        finally:
            subprocess.run(["umount", name], check=True)  # noqa: S603, S607  # our own


def test_a_disk_that_is_really_full_changes_nothing(small_disk: Path, schema: str) -> None:
    place = small_disk / "tables"
    place.mkdir()
    shutil.chown(place, server().user or os.geteuid())
    server().run(f"CREATE TABLESPACE {schema} LOCATION '{place}'")
    server().run(f"CREATE DATABASE {schema} TABLESPACE {schema}")
    url = server().url("faces", database=schema)
    try:
        with fs.Collection.open(url, "staff") as staff:
            staff.add_embeddings(["ada", "bob"], EYE[:2])
            before = contents(staff)
            many = np.random.default_rng(0).normal(size=(10_000, 128))
            with pytest.raises(fs.StorageFullError, match="no room on the server's disk; nothing was changed"):
                staff.add_embeddings([f"user{number}" for number in range(len(many))], many)
            assert contents(staff) == before
            subprocess.run(["mount", "-o", "remount,size=256m", str(small_disk)], check=True)  # noqa: S603, S607  # our own
            staff.add_embedding("eve", ONES)
            assert staff.search_embedding(ONES, max_users=1)[0].user.user_id == "eve"
    finally:
        server().run(f"DROP DATABASE {schema} WITH (FORCE)")
        server().run(f"DROP TABLESPACE {schema}")


# -------------------------------------------------------------------- a pooler


@pytest.mark.skipif(not shutil.which("pgbouncer"), reason="PgBouncer is not installed: apt-get install pgbouncer")
def test_a_pooler_works_in_session_mode_and_is_named_in_another(schema: str) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        folder.joinpath("users.txt").write_text('"postgres" ""\n')

        def through(mode: str) -> "subprocess.Popen[bytes]":
            folder.joinpath("settings").write_text(
                f"[databases]\n* = host={server().folder.parent} user=postgres\n[pgbouncer]\nlisten_addr =\n"
                f"unix_socket_dir = {name}\nunix_socket_mode = 0777\nauth_type = trust\nauth_file = {name}/users.txt\n"
                f"pool_mode = {mode}\nlogfile = {name}/log\n"
            )
            command = [str(shutil.which("pgbouncer")), "-q", str(folder / "settings")]
            process = subprocess.Popen(command, user=server().user, stderr=subprocess.DEVNULL)  # noqa: S603  # our own
            assert soon((folder / ".s.PGSQL.6432").exists)
            return process

        url = f"postgresql://postgres@/postgres?host={name}&port=6432&schema={schema}"
        for mode in ("session", "transaction"):
            pooler = through(mode)
            try:
                with fs.Collection.open(server().url(schema), "staff") as direct:
                    direct.add_embedding("ada", ONES)
                    before = contents(direct)
                    if mode == "session":
                        with fs.Collection.open(url, "staff") as staff:
                            assert contents(staff) == before
                            staff.add_embedding("bob", EYE[0])
                    else:
                        with pytest.raises(fs.StorageError, match="pool_mode = session"):
                            write_through(url)
                        assert contents(direct) == before
            finally:
                pooler.terminate()
                pooler.wait()


def write_through(url: str) -> None:
    """Write as two clients in turns: the pooler gives the connection of one to the other."""
    other = url.replace("schema=", "schema=other_")
    with fs.Collection.open(url, "staff") as one, fs.Collection.open(other, "staff") as two:
        for number in range(20):
            one.create_user(f"one{number}")
            two.create_user(f"two{number}")
