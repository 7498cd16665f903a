"""Followed over TLS: with a known authority, and never without."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import graysplit
from graysplit import embedded
from graysplit.errors import StoreUnreachableError
from graysplit.stores import store_from_url
from tests.faults.command_line import graysplit_cli
from tests.faults.shares import following, watching
from tests.support import eventually, skip_or_fail
from tests.topologies.servers import HOST, server

pytestmark = pytest.mark.xdist_group("topologies-tls")


class Safe(NamedTuple):
    """A server that speaks TLS only, and the papers it was given."""

    port: int
    folder: Path
    running: embedded.Server

    def url(self, authority: str = "authority", host: str = HOST) -> str:
        """Return its address, for whoever trusts this authority."""
        return f"rediss://{host}:{self.port}/0?ssl_ca_certs={self.folder / authority}.crt"


def openssl(*words: str, folder: Path) -> None:
    """Run openssl where the papers are."""
    subprocess.run(
        [shutil.which("openssl") or "openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60
    )


def authority(folder: Path, name: str) -> None:
    """Make an authority of a test's own."""
    made = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}")
    made += ("-addext", "keyUsage=critical,keyCertSign")  # Python 3.13 asks for it
    openssl(*made, "-keyout", f"{name}.key", "-out", f"{name}.crt", folder=folder)


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Safe]:
    """Return a TLS server whose certificate is for 127.0.0.1 alone; the tests' own binary speaks none."""
    binary, tool = shutil.which("redis-server"), shutil.which("openssl")
    if binary is None or tool is None:
        skip_or_fail("TLS needs redis-server and openssl: install Debian's packages redis-server and openssl")
    folder = tmp_path_factory.mktemp("papers")
    authority(folder, "authority")
    authority(folder, "stranger")
    (folder / "names").write_text(f"subjectAltName=IP:{HOST}\nauthorityKeyIdentifier=keyid\n")
    openssl(
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=server",
        "-keyout",
        "own.key",
        "-out",
        "own.csr",
        folder=folder,
    )
    signing = ("x509", "-req", "-in", "own.csr", "-CA", "authority.crt", "-CAkey", "authority.key", "-CAcreateserial")
    openssl(*signing, "-days", "2", "-extfile", "names", "-out", "own.crt", folder=folder)
    port = embedded._free_port()
    papers = ("--tls-cert-file", "own.crt", "--tls-key-file", "own.key", "--tls-ca-cert-file", "authority.crt")
    words = [str(folder / word) if word.endswith((".crt", ".key")) else word for word in papers]
    with server("--tls-port", str(port), "--tls-auth-clients", "no", *words, binary=binary) as running:
        yield Safe(port, folder, running)


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_known_authority_is_trusted(safe: Safe, namespace: str, protocol: int) -> None:
    """Operators and followers work as without TLS, signals too."""
    url = safe.url()
    with graysplit.Control(url, namespace=namespace) as control:
        control.create("checkout")
        control.set("checkout", 20)
        address = f"{url}&protocol={protocol}"
        with following(address, namespace) as router, watching(router) as watch:
            assert router.status().mode == {2: "redirect", 3: "tracking"}[protocol]
            control.set("checkout", 30)
            watch.when(30, 5)
            assert graysplit_cli(url, namespace, "rollback", "checkout").code == 0
            watch.when(0, 5)


def test_an_unknown_authority_is_refused(safe: Safe, namespace: str) -> None:
    """Who shows a stranger's paper is not spoken to, and the reason is said."""
    ran = graysplit_cli(safe.url("stranger"), namespace, "list")
    assert ran.code == 5
    assert "certificate" in ran.err.lower()
    with graysplit.Router(safe.url("stranger"), namespace=namespace) as router:
        eventually(lambda: "certificate" in router.status().reason.lower())
        assert router.decide("checkout", "user-1").reason == "not_ready"


def test_a_paper_for_another_host_is_refused(safe: Safe) -> None:
    """The name in the address is compared with the names in the certificate."""
    store = store_from_url(safe.url(host="localhost"))
    with pytest.raises(StoreUnreachableError, match=r"(?i)certificate"):
        store.load()
    store.close()


def test_a_plain_address_finds_no_server_there(safe: Safe) -> None:
    """Without TLS the port answers nothing that is Redis, and that is an outage like any other."""
    for url in (f"redis://{HOST}:{safe.port}/0", safe.url().replace(str(safe.port), str(safe.running.port))):
        store = store_from_url(url)
        with pytest.raises(StoreUnreachableError):
            store.load()
        with pytest.raises(StoreUnreachableError):
            store.follow()
        store.close()
