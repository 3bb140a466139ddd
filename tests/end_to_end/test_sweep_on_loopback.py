"""What a sweep on this machine starts is reached from this machine alone."""

import os
import socket

import pytest
from listening import HAS_PROC, beyond_this_machine, listening

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not HAS_PROC, reason="reads Linux's /proc"),
]


def test_no_process_of_a_sweep_listens_beyond_this_machine(swept_and_heard):
    _, sockets = swept_and_heard
    # The driver, Ray's servers and a worker for each lane and trial: it did look.
    assert {"gcs_server", "raylet"} < set(sockets.values())
    assert len(sockets) >= 6
    assert beyond_this_machine(sockets) == {}


@pytest.mark.parametrize(
    ("family", "address", "is_beyond"),
    [
        (socket.AF_INET, "0.0.0.0", True),
        (socket.AF_INET, "127.0.0.1", False),
        (socket.AF_INET6, "::", True),
        (socket.AF_INET6, "::1", False),
    ],
)
def test_the_look_into_proc_tells_them_apart(family, address, is_beyond):
    if family == socket.AF_INET6 and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        found = {place: who for place, who in listening(os.getpid()).items() if place[1] == port}
        assert [place[0] for place in found] == [address]
        assert bool(beyond_this_machine(found)) == is_beyond


def test_an_address_of_ipv4_in_ipv6_is_the_one_that_it_holds():
    found = {("::ffff:127.0.0.1", 1): "raylet", ("::ffff:10.0.0.1", 2): "raylet"}
    assert beyond_this_machine(found) == {("::ffff:10.0.0.1", 2): "raylet"}
