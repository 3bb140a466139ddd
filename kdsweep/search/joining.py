"""Joining a Ray cluster that is there: at which address, and with which token."""

import socket
from typing import Any

from kdsweep.errors import SpecError
from kdsweep.search import environment  # noqa: F401  # before ray

# isort: split
import ray
from ray import exceptions
from ray._private import services
from ray._raylet import GcsClient  # type: ignore[attr-defined]

from kdsweep.search.tokens import WHERE_TOKENS_ARE, refused, use_token
from kdsweep.spec.surroundings import not_a_cluster

KNOCK_TIMEOUT_S = 10.0


def join(address: str, **settings: Any) -> None:
    """Connect this process to the Ray cluster at ``auto`` or ``HOST:PORT``.

    On another machine only with a token: without one whoever reaches that cluster runs code on it,
    and through it here.

    Raises:
        SpecError: no cluster answers there, or it wants another token, or none is configured.
    """
    if wrong := not_a_cluster(address):
        raise SpecError(f"cluster.address: {address!r} {wrong}")
    try:
        # Of `auto` what RAY_ADDRESS says, or a cluster that runs here.
        place = services.canonicalize_bootstrap_address(address)
        has_token = use_token()
        host, port = _split(place)
        if not has_token and not is_here(host):
            raise SpecError(_without_token(place))
        # Ray would try for minutes where nothing listens, and as long with a wrong token.
        socket.create_connection((host, port), timeout=KNOCK_TIMEOUT_S).close()
        GcsClient(address=place)
        ray.init(address=place, **settings)
    except exceptions.AuthenticationError:
        cluster = f"cluster.address: the Ray cluster at {address!r}"
        raise SpecError(refused(cluster, has_token=has_token)) from None
    except (OSError, RuntimeError, ValueError, exceptions.RayError) as error:
        reason = str(error).strip().split("\n")[0]
        raise SpecError(
            f"cluster.address: no Ray cluster answers at {address!r} ({reason}); start "
            "one with `ray start --head`, or leave the address out to use this machine"
        ) from None


def is_here(host: str) -> bool:
    """Whether ``host`` is this machine, by whatever address of its own.

    Raises:
        OSError: no machine is known by that name.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return all(_is_own(family, sockaddr) for family, _, _, _, sockaddr in found)


def _is_own(family: int, sockaddr: tuple[Any, ...]) -> bool:
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            # The kernel lets nobody speak from an address that is not the machine's.
            probe.bind(sockaddr)
        except OSError:
            return False
    return True


def _split(place: str) -> tuple[str, int]:
    host, _, port = place.rpartition(":")
    return host.strip("[]"), int(port)


def _without_token(place: str) -> str:
    return (
        f"cluster.address: the Ray cluster at {place!r} is on another machine, and no token for it "
        "is given here: whoever reaches a cluster without one can run code on all of its machines; "
        "make one on its head with `ray get-auth-token --generate`, start it again, and give that "
        f"token here ({WHERE_TOKENS_ARE}; RAY_AUTH_MODE must be token or not set)"
    )
