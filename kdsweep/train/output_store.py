"""A teacher's outputs on disk: each view made once, by all who need it together, read by all.

    outputs/KEY/view-00003/logits/000.f16, 000.json        see ``blocks``
                           layer-stages.1/000.f16, ...
                           000.lock

A view is cut into blocks of examples. Whoever needs a view makes the blocks that are missing and
that nobody is making, then waits for the others; the lock of a process that died is free.
"""

import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from kdsweep.data.base import Split
from kdsweep.errors import TrialError
from kdsweep.storage.objects import StorageError
from kdsweep.storage.shared import Shared
from kdsweep.train import blocks
from kdsweep.train.blocks import Block, BlockWriter, refusals_in_words
from kdsweep.train.tables import MappedTable, Table
from kdsweep.train.teacher import Teacher

_log = logging.getLogger(__name__)

RECIPE = 1
"""Raised when the same teacher and data begin to give other outputs."""
BATCH = 256
"""Examples in a forward, always the same ones: values must not depend on who made them."""
LARGEST_TABLES_BYTES = 2**30
"""Of the views that were read last, in the memory of a device."""

_LEAST_BLOCK, _MOST_BLOCKS, _KEPT_MAPS = 4096, 64, 256
_LOGITS = "logits"


class OutputStore:
    """The stored outputs of one teacher on the training split of one data set.

    ``key`` is of the teacher's weights and of the data. ``view`` gives what is stored, and makes it
    where it is missing, cut short or damaged: all that is missing of a block comes from one
    forward. ``layers`` are what others will ask for: a block that is made has them as well.
    """

    def __init__(
        self,
        place: Shared,
        key: str,
        teacher: Teacher,
        split: Split,
        layers: Sequence[str] = (),
    ) -> None:
        said = json.dumps([RECIPE, key])
        self._shared = place.within(hashlib.sha256(said.encode()).hexdigest()[:16])
        self._teacher, self.split = teacher, split
        self._also = ("", *layers)
        self._size = _block_size(split.num_samples)
        self._verified: set[Path] = set()
        self._maps: OrderedDict[tuple[int, str], MappedTable | None] = OrderedDict()
        self._on_device: OrderedDict[tuple[int, str], Table] = OrderedDict()

    @property
    def directory(self) -> Path:
        """Where its blocks are, or the copy of them."""
        return self._shared.directory

    def view(
        self,
        view: int,
        layers: Sequence[str],
        *,
        device: torch.device,
        ahead: Sequence[int] = (),
    ) -> dict[str, Table] | None:
        """The logits, under an empty name, and what the teacher gives at ``layers``.

        ``None`` if some of it does not fit float16. While others make blocks of this view, those of
        the views ``ahead`` are made here.

        Raises:
            OSError: nothing can be written; says what to do.
            TrialError: an output has not one row for each example.
        """
        outputs = ("", *layers)
        if any((view, each) not in self._maps for each in outputs):
            self._make_view(view, outputs, ahead)
            for each in outputs:
                self._maps[view, each] = self._mapped(view, each)
        found: dict[str, MappedTable] = {}
        for each in outputs:
            self._maps.move_to_end((view, each))
            table = self._maps[view, each]
            if table is not None:
                found[each] = table
        while len(self._maps) > max(_KEPT_MAPS, len(outputs)):
            self._maps.popitem(last=False)
        if len(found) < len(outputs):
            return None
        if device.type == "cpu":
            return dict(found)
        return self._moved(view, found, device)

    def _moved(
        self, view: int, found: dict[str, MappedTable], device: torch.device
    ) -> dict[str, Table]:
        """On the device, where all of a view has room there."""
        if sum(table.num_bytes for table in found.values()) > LARGEST_TABLES_BYTES:
            return dict(found)
        for name, table in found.items():
            if (view, name) not in self._on_device:
                self._on_device[view, name] = table.on(device)
            self._on_device.move_to_end((view, name))
        while sum(table.num_bytes for table in self._on_device.values()) > LARGEST_TABLES_BYTES:
            self._on_device.popitem(last=False)
        return {name: self._on_device[view, name] for name in found}

    def _make_view(self, view: int, outputs: Sequence[str], ahead: Sequence[int]) -> None:
        left = [n for n in range(self._num_blocks) if not self._made(view, n, outputs, wait=False)]
        while left:
            if not any(self._help(later, outputs) for later in ahead):
                self._made(view, left[0], outputs, wait=True)
            left = [n for n in left if not self._made(view, n, outputs, wait=False)]

    def _help(self, view: int, outputs: Sequence[str]) -> bool:
        """Make one block of a view that nobody makes; whether there was one."""
        for number in range(self._num_blocks):
            there = all(self._place(view, each, number).with_suffix(".json").exists()
                        for each in outputs)  # fmt: skip
            if not there and self._made(view, number, outputs, wait=False):
                return True
        return False

    def _made(self, view: int, number: int, outputs: Sequence[str], *, wait: bool) -> bool:
        """Whether a block is there in all ``outputs``, made here if nobody else is at it."""
        if not self._lacking(view, number, outputs):
            return True
        try:
            folder = self._folder(view)
            with refusals_in_words(folder):
                folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._lock(view, number), timeout=-1 if wait else 0):
                # Another may have made it before the lock was free.
                if self._lacking(view, number, outputs):
                    return self._made_or_fetched(view, number, outputs, wait=wait)
        except Timeout:
            return False
        return True

    def _made_or_fetched(
        self, view: int, number: int, outputs: Sequence[str], *, wait: bool
    ) -> bool:
        """Whether a block is here now; not where another node is at it, and nobody ``wait``s."""

        def fetched() -> bool:
            for each in self._lacking(view, number, outputs):
                values, card = self._files(view, each, number)
                # One that overflows has a card alone.
                self._shared.fetch(values, patient=False)
                self._shared.fetch(card, patient=False)
            return not self._lacking(view, number, outputs)

        with ExitStack() as stack:
            try:
                if fetched():
                    return True
                name = self._lock(view, number).relative_to(self.directory).with_suffix("")
                turn = self._shared.turn(name.as_posix(), wait=wait, enough=fetched)
                if not stack.enter_context(turn):
                    return fetched()
            except StorageError as error:
                _log.warning("%s: outputs of the teacher are made here", error)
            all_read = dict.fromkeys((*outputs, *self._also))
            lacking = self._lacking(view, number, all_read)
            self._make(view, number, lacking)
            try:
                for each in lacking:
                    self._shared.put(*self._files(view, each, number), patient=False)
            except StorageError as error:
                _log.warning("%s: outputs of the teacher are on this node alone", error)
        return True

    def _make(self, view: int, number: int, outputs: Sequence[str]) -> None:
        start = number * self._size
        layers = tuple(each for each in outputs if each)
        with ExitStack() as stack:
            writers = {
                each: stack.enter_context(BlockWriter(self._place(view, each, number)))
                for each in outputs
            }
            stop = start + self._num_rows(number)
            for batch in self.split.piece(start, stop, batch_size=BATCH, view=view):
                # In float32, whatever the trial computes in that happens to make them.
                with torch.autocast(batch.labels.device.type, enabled=False):
                    found = self._teacher.outputs(batch, layers)
                for each, writer in writers.items():
                    values = found.features[each] if each else found.logits
                    _append(writer, values, each, len(batch))
            for writer in writers.values():
                writer.commit()

    @property
    def device_bytes(self) -> int:
        """What its tables take in the memory of a GPU."""
        return sum(table.num_bytes for table in self._on_device.values())

    def _lacking(self, view: int, number: int, outputs: Iterable[str]) -> list[str]:
        return [each for each in outputs if self._read(view, each, number) is None]

    def _mapped(self, view: int, output: str) -> MappedTable | None:
        """The blocks of a view that has been made; ``None`` if one of them overflows."""
        found = []
        for number in range(self._num_blocks):
            block = self._read(view, output, number)
            if block is None:
                raise TrialError(
                    f"{self._place(view, output, number)} is gone again: teachers may be deleted "
                    "only when nothing runs"
                )
            if block.values is None:
                return None
            found.append(block.values)
        return MappedTable(found, self._size)

    def _read(self, view: int, output: str, number: int) -> Block | None:
        """A block, its checksum compared when this process reads it for the first time."""
        place = self._place(view, output, number)
        found = blocks.read(place, self._num_rows(number), verify=place not in self._verified)
        if found is None:
            self._verified.discard(place)
        else:
            self._verified.add(place)
        return found

    def _folder(self, view: int) -> Path:
        return self.directory / f"view-{view:05d}"

    def _place(self, view: int, output: str, number: int) -> Path:
        name = f"layer-{quote(output, safe=':')}" if output else _LOGITS
        return self._folder(view) / name / f"{number:03d}"

    def _files(self, view: int, output: str, number: int) -> tuple[str, str]:
        """The names of a block's values and of its card, seen from ``directory``."""
        place = self._place(view, output, number).relative_to(self.directory)
        return place.with_suffix(".f16").as_posix(), place.with_suffix(".json").as_posix()

    def _lock(self, view: int, number: int) -> Path:
        return self._folder(view) / f"{number:03d}.lock"

    @property
    def _num_blocks(self) -> int:
        return -(-self.split.num_samples // self._size)

    def _num_rows(self, number: int) -> int:
        return min(self._size, self.split.num_samples - number * self._size)


def _block_size(num_samples: int) -> int:
    """Small enough for many lanes to share a view, large enough for few files; whole batches."""
    return max(_LEAST_BLOCK, -(-num_samples // (_MOST_BLOCKS * BATCH)) * BATCH)


def _append(writer: BlockWriter, values: Tensor, output: str, num_rows: int) -> None:
    if values.ndim < 1 or len(values) != num_rows:
        raise TrialError(
            f"the teacher gives {list(values.shape)} at {output!r} for {num_rows} examples: what "
            "has not one row for each cannot be stored; set teacher.stored: logits"
        )
    half = values.half()
    if bool((half.isinf() & values.isfinite()).any()):
        writer.overflow()
    writer.append(half.cpu().numpy())
