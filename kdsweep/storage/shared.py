"""A directory that workers on all nodes share: itself, or each node's copy of an address."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from kdsweep.storage.address import Place, is_address, under
from kdsweep.storage.copies import root_at_hand
from kdsweep.storage.lease import Lease, alone
from kdsweep.storage.objects import Objects, objects_at, patiently


class Shared:
    """Files by names relative to ``directory``, where readers find them.

    On storage that all nodes share nothing is sent or fetched. Of an address, what others have
    made is fetched, and what is made here is put there.
    """

    def __init__(self, place: Place, directory: Path | None = None) -> None:
        """With ``directory`` the copy lies there, else in the cache of this machine.

        Raises:
            SpecError: see ``address.checked``.
        """
        self.place = place
        self.directory = directory or root_at_hand(place)
        self._objects: Objects | None = objects_at(str(place)) if is_address(place) else None

    def within(self, *names: str) -> "Shared":
        """What lies in it under a name."""
        return Shared(under(self.place, *names), self.directory.joinpath(*names))

    def fetch(self, *names: str, patient: bool = True) -> bool:
        """Have files here that others have put there, in this order; whether all were there.

        A store that does not answer is asked again for a while if ``patient``.

        Raises:
            StorageError: the store does not answer.
        """
        objects = self._objects
        if objects is None:
            return False
        for name in names:
            try:
                fetch = partial(objects.download, name, self.directory / name)
                patiently(fetch) if patient else fetch()
            except FileNotFoundError:
                return False
        return True

    def put(self, *names: str, patient: bool = True) -> None:
        """Give others files that are here, in this order; those that are not are left out.

        Raises:
            StorageError: the store does not answer.
        """
        objects = self._objects
        if objects is not None:
            for name in names:
                path = self.directory / name
                send = partial(objects.upload, path, name)
                if path.exists():
                    patiently(send) if patient else send()

    @contextmanager
    def turn(
        self, name: str, *, wait: bool = True, enough: Callable[[], bool] = lambda: False
    ) -> Iterator[bool]:
        """Have the right called ``name`` among all nodes; says whether this process has it.

        Of one node several ask one after another, by a lock of their own. See ``lease.alone``.

        Raises:
            StorageError: the store does not answer.
        """
        if self._objects is None:
            yield True
            return
        holder = {"host": os.uname().nodename, "pid": os.getpid()}
        with alone(Lease(self._objects, name, holder), wait=wait, enough=enough) as is_mine:
            yield is_mine
