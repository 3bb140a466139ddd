"""Knowledge review: each of the teacher's stages teaches the student's stage and all below."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from kdsweep.losses.review import hierarchical_context
from kdsweep.losses.total import total
from kdsweep.strategies.base import Probe, Seen
from kdsweep.strategies.parts.fusion import Fusion
from kdsweep.strategies.parts.paired_term import PairedTerm
from kdsweep.strategies.parts.pairing import Pair, PairedLayers, pair_layers
from kdsweep.strategies.parts.related import embeddings
from kdsweep.strategies.parts.weighting import TermWeight, warmed_up


class KnowledgeReview(PairedTerm):
    """``L = CE + w sum_l HCL(fused_l, f_t)``: fused from the student's map ``l`` and all deeper.

    From the deepest level to the first, a level's map is joined with the fused map of the level
    below by learned attention (``Fusion``) and compared with the teacher's at full size, 4x4, 2x2
    and 1x1 (``hierarchical_context``). The levels are the paired stages and, as maps of 1x1, the
    embeddings; every layer is sized by what was probed, so that any two networks with stages of
    similar resolution can be paired. The published code reads the teacher's stages before their
    last activation, here they are read after it, unless the layers are named. The term is the sum
    over levels; published raw weights are 0.6 to 8. The weight rises from zero to its full value
    within the first ``warmup`` of training (published: 20 of 240 epochs).

    Source: arXiv:2104.09044.
    """

    class Params(TermWeight, PairedLayers):
        """Weight and warm-up of the review, its levels, and the width of what is passed on."""

        hint: Literal["middle", "last", "all"] = "all"
        embedding: bool = Field(True, description="the embeddings are the deepest level")
        channels: int = Field(512, ge=1, le=65536, description="of fused maps, at most")
        warmup: float = Field(0.083, ge=0, le=1, description="share of training")

    source: ClassVar[str] = "arXiv:2104.09044"
    term: ClassVar[str] = "review"
    params: Params

    def __init__(self, params: Params, probe: Probe) -> None:
        """Pair the layers and make a fusion for each level.

        Raises:
            SpecError: there is no teacher, its layers cannot be paired with the student's, or a
                network has no embedding.
        """
        super().__init__(params, probe)
        last = self.pairs[-1]
        channels = min(params.channels, last.student_shape[0])
        self.fusions = nn.ModuleList(
            Fusion(
                _as_map(pair.student_shape),
                _as_map(pair.teacher_shape),
                channels=channels,
                deepest=pair is last,
            )
            for pair in self.pairs
        )

    def paired(self, probe: Probe) -> tuple[Pair, ...]:
        """The levels, from the first to the deepest."""
        return _levels(self.params, probe)

    def factors(self, progress: float) -> Mapping[str, float]:
        """The review's weight rises in proportion to the training done, until it is warm."""
        return {self.term: warmed_up(progress, self.params.warmup)}

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``review``: the differences at all sizes, summed over levels."""
        levels = zip(self.fusions, self.compared(seen), strict=True)
        deeper: Tensor | None = None
        losses: list[Tensor] = []
        for fusion, (ours, theirs) in reversed(list(levels)):
            restored, deeper = fusion(_maps(ours), deeper)
            losses.append(hierarchical_context(restored, _maps(theirs)))
        return {self.term: total(losses)}


def _levels(params: KnowledgeReview.Params, probe: Probe) -> tuple[Pair, ...]:
    """The pairs in the order of the student's forward, then the embeddings."""
    paths = list(probe.student.features)
    pairs = sorted(
        pair_layers(params, probe, ranks=(3, 1)), key=lambda pair: paths.index(pair.student)
    )
    if params.embedding:
        pairs.append(embeddings(probe, "embedding: true", "set embedding: false"))
    return tuple(pairs)


def _as_map(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) > 1 else (*shape, 1, 1)


def _maps(features: Tensor) -> Tensor:
    return features if features.ndim > 2 else features[:, :, None, None]
