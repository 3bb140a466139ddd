"""What the files of a data set hold, told before anything is trained."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Survey:
    """How many samples each part has, as ``Splits.counts``, and how far files were looked at.

    ``num_opened`` is of sets with a file for each sample: less than all where only a spread-out
    sample of them was opened.
    """

    counts: Mapping[str, int]
    num_opened: int | None = None

    @property
    def words(self) -> str:
        """``train 180, validation 60, test 60``, and that only a sample was looked at."""
        said = ", ".join(f"{part} {num:,}" for part, num in self.counts.items())
        total = sum(self.counts.values())
        if self.num_opened is None or self.num_opened >= total:
            return said
        return (
            f"{said}; of these {total:,} files {self.num_opened:,}, spread evenly over them, were "
            "opened to see whether they are images"
        )
