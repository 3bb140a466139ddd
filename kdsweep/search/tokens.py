"""The token that a Ray cluster asks for: whether there is one here, and what is said of it."""

import logging

from kdsweep.search import environment  # noqa: F401  # before ray

# isort: split
from ray._private.authentication import authentication_token_setup as token_setup
from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]

WHERE_TOKENS_ARE = "RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token"


def use_token() -> bool:
    """Let Ray use the token that is given here, unless RAY_AUTH_MODE says no; whether there is one.

    Ray itself looks for one only if it is asked for a cluster at ``auto``.
    """
    # Ray would say that it uses it, with advice to opt out.
    logging.getLogger(token_setup.__name__).setLevel(logging.ERROR)
    enabled = token_setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    return enabled and bool(AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True))


def refused(what: str, *, has_token: bool) -> str:
    """The sentence for a cluster that wants another token, or one."""
    why = "refuses the one that is given here" if has_token else "none is given here"
    return (
        f"{what} wants its token and {why}; give the one that `ray get-auth-token` prints on its "
        f"head ({WHERE_TOKENS_ARE}; RAY_AUTH_MODE must be token or not set)"
    )
