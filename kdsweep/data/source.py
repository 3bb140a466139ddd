"""Images that have to be decoded one by one, and how to decode them."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pydantic import BeforeValidator, Field

from kdsweep.data.partition import Index
from kdsweep.errors import SpecError

_MOST_PROBLEMS = 20
_SIXTEEN_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_LONGEST_SIDE = 4096


def _square(value: object) -> object:
    if not isinstance(value, int):
        return value
    # Here, or one number would be refused twice, as height and as width.
    if not 1 <= value <= _LONGEST_SIDE:
        limit = "at least 1" if value < 1 else f"at most {_LONGEST_SIDE}"
        raise ValueError(f"is not allowed: must be {limit}")
    return (value, value)


Side = Annotated[int, Field(ge=1, le=_LONGEST_SIDE)]
Size = Annotated[tuple[Side, Side], BeforeValidator(_square)]
"""``(H, W)`` in pixels; one number is short for a square."""


class ImageSource(Protocol):
    """Labelled images on disk, all decoded to one ``shape`` ``(D, H, W)``."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(D, H, W)`` of every image."""

    def read(self, index: int) -> NDArray[np.uint8]:
        """One image ``[D, H, W]``.

        Raises:
            SpecError: it cannot be read; says which and what to do.
        """


def read_all(source: ImageSource, index: Index, *, threads: int = 0) -> NDArray[np.uint8]:
    """The images ``[N, D, H, W]`` at ``index`` ``[N]``, decoded by threads.

    Zero threads are as many as torch may use here: a lane keeps to its share of the machine.

    Raises:
        SpecError: images that cannot be read, all of them together.
    """
    images = np.empty((len(index), *source.shape), np.uint8)

    def read(slot: int) -> None:
        images[slot] = source.read(int(index[slot]))

    for_each(read, range(len(index)), threads=threads)
    return images


def for_each(look: Callable[[int], object], numbers: Iterable[int], *, threads: int = 0) -> None:
    """Call ``look`` with each number, on threads as in ``read_all``.

    Raises:
        SpecError: what the calls have refused, the first of it all together.
    """

    def refusal(number: int) -> tuple[str, ...]:
        try:
            look(number)
        except SpecError as error:
            return error.problems
        return ()

    with ThreadPoolExecutor(threads or torch.get_num_threads()) as pool:
        found = pool.map(refusal, numbers)
        # Once each: one cause, such as a missing setting, may be said of every image.
        problems = list(dict.fromkeys(problem for each in found for problem in each))
    if len(problems) > _MOST_PROBLEMS:
        rest = len(problems) - _MOST_PROBLEMS
        problems = [*problems[:_MOST_PROBLEMS], f"... and {rest} more problems of this kind"]
    if problems:
        raise SpecError(problems)


def to_pixels(
    image: Image.Image, *, channels: int, size: tuple[int, int] | None
) -> NDArray[np.uint8]:
    """An image as ``[D, H, W]`` uint8: upright, in grey or RGB, resized to cover and cut to size.

    Without a size it keeps its own.
    """
    if size is not None and image.format == "JPEG":
        # Lets the decoder skip detail that resizing would average away.
        image.draft(None, (2 * max(size), 2 * max(size)))
    image = ImageOps.exif_transpose(image)
    if image.mode in _SIXTEEN_BIT:
        # Pillow's own conversion clips at 255 in place of scaling.
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    image = image.convert("L" if channels == 1 else "RGB")
    if size is not None and image.size != (size[1], size[0]):
        image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def pixels_in_words(channels: int, size: tuple[int, int] | None) -> str:
    """What ``to_pixels`` makes of an image, for whoever does it elsewhere."""
    colours = "grey (Pillow's L)" if channels == 1 else "RGB"
    resized = "" if size is None else (
        f", then ImageOps.fit(image, ({size[1]}, {size[0]}), Image.Resampling.BILINEAR): resized "
        "to cover, cut at the centre"
    )  # fmt: skip
    return f"turned upright (ImageOps.exif_transpose), in {colours}{resized}; channels first"
