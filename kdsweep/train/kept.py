"""What a process keeps between trials because the next one may want it too."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

AT_LEAST = 2
"""So many things of a kind are kept, however large: neighbours in a sweep often alternate."""


class Kept(Generic[T]):
    """Things by a key, the ones used last: all that fit ``most_bytes`` together, and a few anyway.

    ``num_bytes`` says how large a thing is by now.
    """

    def __init__(self, num_bytes: Callable[[T], int], most_bytes: int) -> None:
        self._num_bytes, self._most_bytes = num_bytes, most_bytes
        self._things: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str, make: Callable[[], T], *, at_least: int = AT_LEAST) -> T:
        """The thing at ``key``, made now if it is not there; what was used longest ago goes."""
        if key not in self._things:
            # Before it is made: both together might have no room.
            self._shrink(at_least - 1)
            self._things[key] = make()
            self._shrink(at_least)
        self._things.move_to_end(key)
        return self._things[key]

    def _shrink(self, at_least: int) -> None:
        while len(self._things) > at_least and self._total > self._most_bytes:
            self._things.popitem(last=False)

    @property
    def _total(self) -> int:
        return sum(self._num_bytes(thing) for thing in self._things.values())
