"""How long a network takes to answer, as it was measured: what is written down of it."""

from pydantic import BaseModel, ConfigDict, Field


class BatchLatency(BaseModel):
    """The time of one batch, over the runs of the blocks that count.

    Those are the last blocks, where they agree (``stable``), and all blocks where the budget was
    spent before any did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(ge=1)
    """Inputs in it."""
    p50_ms: float = Field(ge=0)
    p95_ms: float = Field(ge=0)
    spread: float | None = None
    """Between the slowest and the fastest median of a block, relative to the one in the middle;
    none of a single block."""
    p95_spread: float | None = None
    """The same of the blocks' own 95th percentiles."""
    stable: bool = False
    blocks: int = Field(ge=1)
    runs: int = Field(ge=1)

    @property
    def per_second(self) -> float:
        """Inputs that are answered in a second."""
        return 1e3 * self.batch / max(self.p50_ms, 1e-9)


class Latency(BaseModel):
    """What was measured of one network on one device."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str
    """The model of the processor, or the name of the GPU."""
    kind: str = "cpu"
    """``cpu``, ``cuda``."""
    threads: int = Field(1, ge=1)
    """Of torch on the processor."""
    busy: bool = False
    """Whether other work may have run at the same time, as the sweep's other lanes."""
    lanes: int = Field(1, ge=1)
    """Lanes of the sweep that measured it, on all its machines; 1 where nothing else trained."""
    batches: tuple[BatchLatency, ...] = Field(min_length=1)

    def with_older(self, older: "Latency") -> "Latency":
        """This, and batches of other sizes that were measured before under the same conditions."""
        if older.model_copy(update={"batches": self.batches}) != self:
            return self
        kept = [each for each in older.batches if self.of(each.batch) is None]
        batches = sorted([*self.batches, *kept], key=lambda each: each.batch)
        return self.model_copy(update={"batches": tuple(batches)})

    def of(self, batch: int) -> BatchLatency | None:
        """What batches of this size took; none where they were not measured."""
        return next((each for each in self.batches if each.batch == batch), None)
