"""Joining a Ray cluster that is there: at which address, and with which token."""

import re
import socket
from typing import Any

from kdsweep.errors import SpecError
from kdsweep.search import environment  # noqa: F401  # before ray

# isort: split
import ray
from ray import exceptions
from ray._private import services
from ray._private.authentication import authentication_token_setup as token_setup
from ray._raylet import AuthenticationTokenLoader, GcsClient  # type: ignore[attr-defined]

KNOCK_TIMEOUT_S = 10.0

_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
_WHERE_TOKENS_ARE = "RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token"


def join(address: str, **settings: Any) -> None:
    """Connect this process to the Ray cluster at ``auto`` or ``HOST:PORT``.

    On another machine only with a token: without one whoever reaches that cluster runs code on it,
    and through it here.

    Raises:
        SpecError: no cluster answers there, or it wants another token, or none is configured.
    """
    if address != "auto" and not _HOST_PORT.fullmatch(address):
        raise SpecError(f"cluster.address: {address!r} is not allowed: must be auto or HOST:PORT")
    try:
        # Of `auto` what RAY_ADDRESS says, or a cluster that runs here.
        place = services.canonicalize_bootstrap_address(address)
        # Ray itself looks for a token only if it is asked for `auto`.
        has_token = token_setup.maybe_enable_token_auth_if_token_available(
            warn_if_disabled=False
        ) and AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True)
        host, port = _split(place)
        if not has_token and not is_here(host):
            raise SpecError(_without_token(place))
        # Ray would try for minutes where nothing listens, and as long with a wrong token.
        socket.create_connection((host, port), timeout=KNOCK_TIMEOUT_S).close()
        GcsClient(address=place)
        ray.init(address=place, **settings)
    except exceptions.AuthenticationError:
        raise SpecError(_refused(address, has_token=has_token)) from None
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
        f"token here ({_WHERE_TOKENS_ARE}; RAY_AUTH_MODE must be token or not set)"
    )


def _refused(address: str, *, has_token: bool) -> str:
    why = "refuses the one that is given here" if has_token else "none is given here"
    return (
        f"cluster.address: the Ray cluster at {address!r} wants its token and {why}; give the "
        f"one that `ray get-auth-token` prints on its head ({_WHERE_TOKENS_ARE}; RAY_AUTH_MODE "
        "must be token or not set)"
    )
