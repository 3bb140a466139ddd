"""Online distillation: networks that learn together teach each other (deep mutual learning)."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, cast

from pydantic import Field
from torch import Tensor, nn

from kdsweep.batch import UNLABELLED
from kdsweep.errors import SpecError
from kdsweep.losses.logits import hard_labels, soft_targets
from kdsweep.losses.total import total
from kdsweep.spec import Settings
from kdsweep.strategies.base import Learner, Needs, Probe, Seen, Strategy, Weight


class Online(Strategy):
    """``L_i = w_ce CE_i + w_mutual mean_(j != i) T^2 KL(p_j^T || p_i^T)`` for every network ``i``.

    The student and its peers start untrained and learn at once, each by an optimizer of its own;
    what a network learns from the others carries no gradient to them. Peers see the same batch, in
    training mode, and read their own input of it. The paper has ``T = 1`` and both weights 1.

    Source: arXiv:1706.00384.
    """

    class Params(Settings):
        """Who learns together, and what each network's two losses weigh."""

        teacher: bool = Field(True, description="a peer like the teacher, where the trial has one")
        peers: int = Field(0, ge=0, le=64, description="further peers, like the student")
        temperature: float = Field(1.0, gt=0, le=1000)
        w_ce: float = Field(1.0, ge=0, description="weight of CE")
        w_mutual: float = Field(1.0, ge=0, description="weight of what the others teach")
        lr: float | None = Field(None, gt=0, le=100, description="the peers', if not the student's")

    needs: ClassVar[Needs] = Needs(teacher=False)
    source: ClassVar[str] = "arXiv:1706.00384"
    params: Params

    def __init__(self, params: Params, probe: Probe) -> None:
        """Make the peers.

        Raises:
            SpecError: there would be none, or one cannot be built.
        """
        super().__init__(params, probe)
        makers = _makers(params, probe)
        if not makers:
            raise SpecError(
                "peers: 0 is not allowed here: the student would learn alone; give peers: 1 or "
                "more, or a teacher to the trial (with teacher: true), to learn together with"
            )
        self.peers = nn.ModuleList(make().train() for make in makers)

    def learners(self) -> tuple[Learner, ...]:
        """One for each peer."""
        return tuple(Learner(peer, self.params.lr) for peer in self.peers)

    def weights(self) -> Mapping[str, Weight]:
        """The student's two losses, and those of the peers, which hold their weights already."""
        params = self.params
        return {
            "hard": Weight(params.w_ce),
            "mutual": Weight(params.w_mutual),
            "peers": Weight(1.0),
        }

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``mutual``: what the peers teach the student; ``peers``: all of theirs, summed."""
        batch, params = seen.batch, self.params
        peers = [seen.run(peer, batch.seen_by(peer)) for peer in self.peers]
        logits = [seen.student.logits, *peers]
        mutual, *others = (self._taught(i, logits) for i in range(len(logits)))
        losses = [
            params.w_ce * _hard(own, batch.labels) + params.w_mutual * taught
            for own, taught in zip(logits[1:], others, strict=True)
        ]
        return {"mutual": mutual, "peers": total(losses)}

    def _taught(self, i: int, logits: Sequence[Tensor]) -> Tensor:
        """``T^2 KL(p_j || p_i)`` ``[N]``, the mean over all others ``j``."""
        others = [each.detach() for j, each in enumerate(logits) if j != i]
        losses = [soft_targets(logits[i], each, self.params.temperature) for each in others]
        return total(losses) / len(losses)


def _hard(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy ``[N]``, zero without a label; the batch's mean is that over its labels."""
    known = (labels != UNLABELLED).reshape(len(labels), -1).any(dim=1).sum().clamp(min=1)
    return hard_labels(logits, labels) * (len(labels) / known)


def _makers(params: Online.Params, probe: Probe) -> list[Callable[[], nn.Module]]:
    like_teacher = [probe.new_teacher] if params.teacher and probe.new_teacher else []
    return [*like_teacher, *[cast(Callable[[], nn.Module], probe.new_student)] * params.peers]
