"""Torch's compiler is not imported where nothing is compiled."""

from collections.abc import Callable
from typing import Any

_TOLD = "__dynamo_disable"


def spare_compiler(*functions: Callable[..., Any]) -> None:
    """Let torch call its own ``functions`` without importing its compiler first.

    Torch marks some of its functions as never to be compiled, and imports the compiler to be told
    so at their first call: more than a second and 100 MB in every process that makes an optimizer.
    The mark is where torch keeps the answer; a torch that keeps it elsewhere imports as before.
    """
    for function in functions:
        marked = getattr(function, "__wrapped__", None)
        if marked is not None and not hasattr(marked, _TOLD):
            setattr(marked, _TOLD, marked)
