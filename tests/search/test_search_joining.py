"""At which addresses a cluster is joined, and what is said of the others."""

import socket

import pytest

from kdsweep.errors import SpecError
from kdsweep.search.cluster import connected
from kdsweep.search.joining import is_here, join
from kdsweep.spec import ClusterSpec

ANOTHER = "198.51.100.7"
"""An address that is kept free for examples."""


@pytest.fixture(autouse=True)
def _without_token(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", socket.gethostname()])
def test_addresses_of_this_machine(host):
    assert is_here(host)


def test_the_address_by_which_others_know_this_machine():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        try:
            # Nothing is sent: the kernel only says from which address it would be.
            out.connect((ANOTHER, 9))
        except OSError:
            pytest.skip("this machine has no network")
        assert is_here(out.getsockname()[0])
    assert not is_here(ANOTHER)


@pytest.mark.parametrize("address", [f"{ANOTHER}:6379", "auto"])
def test_a_cluster_on_another_machine_needs_a_token(monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", f"{ANOTHER}:6379")
    with pytest.raises(SpecError) as refused:
        join(address)
    assert str(refused.value) == (
        "cluster.address: the Ray cluster at '198.51.100.7:6379' is on another machine, and no "
        "token for it is given here: whoever reaches a cluster without one can run code on all of "
        "its machines; make one on its head with `ray get-auth-token --generate`, start it again, "
        "and give that token here (RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token; "
        "RAY_AUTH_MODE must be token or not set)"
    )


@pytest.mark.parametrize(
    "address",
    ["local", "127.0.0.1", "host:", ":6379", "a b:1", "h:1\n", "h:0", "h:65536", "::1:6379"],
)
def test_other_kinds_of_addresses(address):
    with pytest.raises(SpecError) as refused:
        join(address)
    assert str(refused.value) == (
        f"cluster.address: {address!r} is not allowed: must be auto, HOST:PORT or [IPV6]:PORT"
    )


def test_an_address_where_nothing_listens_is_refused_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with connected(ClusterSpec(address=address)) as ray_is_up, pytest.raises(SpecError) as no:
            ray_is_up()
    assert str(no.value).startswith(f"cluster.address: no Ray cluster answers at {address!r} (")
    assert str(no.value).endswith(
        "); start one with `ray start --head`, or leave the address out to use this machine"
    )


def test_a_machine_that_nobody_knows():
    with pytest.raises(SpecError, match=r"no Ray cluster answers at 'nowhere\.invalid:6379' \("):
        join("nowhere.invalid:6379")
