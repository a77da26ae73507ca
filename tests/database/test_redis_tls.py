"""Redis Cluster and Sentinel with TLS and passwords."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from apikeys.limiter.redis import RedisCounters
from apikeys.limiter.store import CountersUnavailable, Window
from tests.support.redis_servers import SERVICE, Watcher
from tests.support.servers import Redis, free_port, running, wait_until
from tests.support.services import available

LIMITS = (Window("hour", 1_000, 3600),)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for the loopback, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=redis",
         "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


def tls(certificate: Path) -> tuple[int, tuple[str, ...]]:
    """Return a port for TLS, and the options that open it."""
    available(Redis)
    port = free_port()
    return port, (
        "--tls-port", str(port), "--tls-auth-clients", "no", "--tls-replication", "yes",
        "--tls-cert-file", str(certificate / "cert.pem"),
        "--tls-key-file", str(certificate / "key.pem"),
        "--tls-ca-cert-file", str(certificate / "cert.pem"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def cluster(certificate: Path) -> Iterator[str]:
    """The hosts and parameters of a cluster of one server, whose password is "pass"."""
    port, options = tls(certificate)
    server = Redis(
        *options, "--tls-cluster", "yes", "--cluster-enabled", "yes",
        "--cluster-port", str(free_port()), "--cluster-announce-ip", "127.0.0.1",
    )  # fmt: skip
    with running(server):
        server.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        wait_until(lambda: "cluster_state:ok" in server.ask("CLUSTER", "INFO"))
        server.ask("CONFIG", "SET", "requirepass", "pass")
        yield f"127.0.0.1:{port}?ssl_ca_certs={certificate / 'cert.pem'}"


@pytest.fixture(scope="module")
def sentinel(certificate: Path) -> Iterator[str]:
    """The host, service and parameters of a sentinel and its primary, with a password each."""
    port, options = tls(certificate)
    watcher_port, watcher_options = tls(certificate)
    with running(Redis(*options, "--requirepass", "pass")):
        watcher = Watcher(
            f"monitor {SERVICE} 127.0.0.1 {port} 1",
            f"auth-pass {SERVICE} pass",
            options=watcher_options,
        )
        with running(watcher):
            wait_until(lambda: watcher.ask("SENTINEL", "CKQUORUM", SERVICE).startswith("OK"))
            watcher.ask("ACL", "SETUSER", "default", "resetpass", ">other")
            parameters = f"sentinel_password=other&ssl_ca_certs={certificate / 'cert.pem'}"
            yield f"127.0.0.1:{watcher_port}/{SERVICE}?{parameters}"


@pytest.mark.parametrize("form", ["cluster", "sentinel"])
def test_tls_and_passwords_are_those_of_the_address(
    request: pytest.FixtureRequest, form: str
) -> None:
    where = request.getfixturevalue(form)
    subject = uuid4().hex

    def remaining(credentials: str, place: str) -> int:
        store = RedisCounters(f"rediss+{form}://{credentials}{place}")
        return store.hit(subject, LIMITS).remaining[0]

    assert [remaining(":pass@", where) for _ in range(2)] == [999, 998]
    for credentials, place in (
        (":wrong@", where),
        (":pass@", where.replace("127.0.0.1", "localhost")),
        (":pass@", where.partition("ssl_ca_certs")[0].rstrip("?&")),
    ):
        with pytest.raises(CountersUnavailable):
            remaining(credentials, place)
