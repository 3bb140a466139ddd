"""Replayable augmentation: a view of a sample is a pure function of its id and a number.

No generator and no state: every device, worker and trial sees the same pixels for the same sample
and view, so that what a teacher said of a view can be stored and read again.
"""

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from kdsweep.spec import Settings

_LOW_32_BITS = 0xFFFFFFFF
_GOLDEN_RATIO = 0x9E3779B1
_FIRST_VIEW, _ROWS, _COLUMNS, _FLIP, _CUT_ROW, _CUT_COLUMN = range(1, 7)


class Augment(Settings):
    """How a training image may be changed, and in how many ways per sample.

    Pixels moved in from outside and pixels cut out are zero. With nothing switched on there is
    one view: the plain image.
    """

    crop: int = Field(0, ge=0, le=512, description="shift by up to this many pixels, each way")
    flip: bool = Field(False, description="mirror left and right in half of the views")
    cutout: int = Field(0, ge=0, le=512, description="side of a square cut out (arXiv:1708.04552)")
    views: int = Field(8, ge=1, le=10_000, description="distinct views of each sample")

    @property
    def active(self) -> bool:
        """Whether any view differs from the plain image."""
        return self.crop > 0 or self.flip or self.cutout > 0

    @property
    def num_views(self) -> int:
        """Distinct views of each sample: one where nothing is augmented."""
        return self.views if self.active else 1


def fit_problems(augment: Augment, shape: tuple[int, int, int]) -> list[str]:
    """What forbids an augmentation of images ``(D, H, W)``: it may leave nothing of one."""
    _, height, width = shape
    side = min(height, width)
    return [
        f"data.augment.{name}: {value} is not allowed for images of {height}x{width}: "
        f"must be less than {side}"
        for name, value in (("crop", augment.crop), ("cutout", augment.cutout))
        if value >= side
    ]


def scramble(ids: Tensor, *salts: int | Tensor) -> Tensor:
    """32 random-looking bits of each id ``[N]`` int64 under the salts, in 0..2**32-1.

    Ids and salts count by their low 32 and 31 bits. The same numbers on every device: no product
    leaves the range of int64.
    """
    bits = _mix(ids + _GOLDEN_RATIO)
    for salt in salts:
        bits = _mix(bits + ((salt * _GOLDEN_RATIO) & _LOW_32_BITS))
    return bits


def _mix(values: Tensor) -> Tensor:
    """A bijection of 32 bits in which every input bit reaches every output bit.

    Multiply and xor-shift, twice, as in the finaliser of MurmurHash3; both factors are below 2**30.
    """
    bits = values & _LOW_32_BITS
    # In place: of a small batch the hash is a part of the step that can be seen.
    bits.bitwise_xor_(bits >> 15).mul_(0x2C1B3C6D).bitwise_and_(_LOW_32_BITS)
    bits.bitwise_xor_(bits >> 12).mul_(0x297A2D39).bitwise_and_(_LOW_32_BITS)
    return bits.bitwise_xor_(bits >> 15)


def _drawn(ids: Tensor, views: Tensor, *salts: int) -> list[Tensor]:
    """``scramble(ids, views, salt)`` for each salt."""
    shared = scramble(ids, views)
    added = [(salt * _GOLDEN_RATIO) & _LOW_32_BITS for salt in salts]
    return list(_mix(torch.stack([shared + each for each in added])))


def view_numbers(ids: Tensor, slot: int, augment: Augment) -> Tensor:
    """The view ``[N]`` that each sample shows in an epoch slot, in 0..V-1.

    Samples start at different views, and over V slots each shows every view once.
    """
    return (scramble(ids, _FIRST_VIEW) + slot) % augment.num_views


def apply(images: Tensor, ids: Tensor, slot: int, augment: Augment) -> Tensor:
    """Images ``[N, D, H, W]`` of samples ``ids`` ``[N]`` as they look in an epoch slot.

    Works on any dtype, on the device of the images, without waiting for it.
    """
    if not augment.active:
        return images
    views = view_numbers(ids, slot, augment)
    if augment.crop or augment.flip:
        images = _moved(images, ids, views, augment)
    if augment.cutout:
        images = _cut_out(images, ids, views, augment.cutout)
    return images


def _moved(images: Tensor, ids: Tensor, views: Tensor, augment: Augment) -> Tensor:
    rows, columns, mirrored = _drawn(ids, views, _ROWS, _COLUMNS, _FLIP)
    if augment.crop:
        images = _windows(images, rows, columns, augment.crop)
    if augment.flip:
        # Whole images are copied: `torch.where` would look at every pixel, in five times as long.
        num = len(images)
        both = torch.cat((images, images.flip(3)))
        images = both.index_select(0, torch.arange(num, device=ids.device) + (mirrored & 1) * num)
    return images


def _windows(images: Tensor, rows: Tensor, columns: Tensor, crop: int) -> Tensor:
    """A window of each padded image, chosen by random bits ``rows`` and ``columns`` ``[N]``.

    Whole rows of a window are copied, not pixels: each begins somewhere in the padded images.
    """
    num, channels, height, width = images.shape
    padded = F.pad(images, (crop, crop, crop, crop))
    per_channel, per_row = padded.stride(1), padded.stride(2)
    corners = (rows % (2 * crop + 1)) * per_row + columns % (2 * crop + 1)
    of_images = torch.arange(num * channels, device=images.device).view(num, channels) * per_channel
    of_rows = torch.arange(height, device=images.device) * per_row
    begins = (of_images + corners[:, None])[:, :, None] + of_rows
    from_each = padded.as_strided((padded.numel() - width + 1, width), (1, 1))
    return from_each.index_select(0, begins.view(-1)).view(images.shape)


def _inside(index: Tensor, side: int) -> Tensor:
    return (index >= 0) & (index < side)


def _cut_out(images: Tensor, ids: Tensor, views: Tensor, side: int) -> Tensor:
    """The centre falls on any pixel, so that squares may leave the image in part."""
    height, width = images.shape[-2:]
    top, left = (bits[:, None] for bits in _drawn(ids, views, _CUT_ROW, _CUT_COLUMN))
    top, left = top % height - side // 2, left % width - side // 2
    rows = _inside(torch.arange(height, device=images.device) - top, side)
    columns = _inside(torch.arange(width, device=images.device) - left, side)
    kept = ~(rows[:, :, None] & columns[:, None])
    return images * kept[:, None].to(images.dtype)
