"""Self-distillation: heads on the student's inner layers learn from its own last one."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from kdsweep.batch import UNLABELLED
from kdsweep.errors import SpecError
from kdsweep.losses.features import hint
from kdsweep.losses.logits import hard_labels, soft_targets
from kdsweep.losses.total import total
from kdsweep.spec import Settings
from kdsweep.strategies.base import Layers, Needs, Probe, Seen, Strategy, Weight
from kdsweep.strategies.parts.readout import Readout, readouts


class SelfDistillation(Strategy):
    """``L = CE + w sum_k [alpha CE(h_k) + (1 - alpha) T^2 KL(p^T || h_k^T)] + v sum_k hint_k``.

    ``h_k`` are logits that a linear head gives of inner layer ``k``, read as one vector for each
    example; ``p`` are the student's own, without gradient. What the heads ask for reaches the
    layers below them. With ``hint_weight`` above 0 the vector of each inner layer, through a linear
    layer, also approaches that of the last, ``MSE``. Heads are dropped after the training: they
    are not in the student and not counted.

    The term is of the magnitude of CE, so that its weight is by default the published one as it
    is. Labels count as they do in the student's own loss: of a batch where some have none, the CE
    of a head is the mean over those that have one.

    Source: arXiv:1905.08094.
    """

    class Params(Settings):
        """Weight and softness of the heads, and where they sit."""

        raw_weight: float = Field(0.3, ge=0, description="of the heads, as it is")
        weight: float | None = Field(
            None, ge=0, description="relative to the hard-label loss, in place of raw_weight"
        )
        alpha: float = Field(0.7, ge=0, le=1, description="weight of the labels in a head's loss")
        temperature: float = Field(3.0, gt=0, le=1000)
        layers: Literal["auto"] | tuple[str, ...] = "auto"
        hidden: int | None = Field(
            None, ge=1, le=65536, description="units of a hidden layer in each head; none if null"
        )
        hint_weight: float = Field(
            0.0, ge=0, description="relative, of the hints; 0: there are none"
        )

        @field_validator("layers", mode="before")
        @classmethod
        def _auto_or_paths(cls, layers: object) -> object:
            paths = isinstance(layers, list | tuple) and all(
                isinstance(path, str) and path for path in layers
            )
            if layers != "auto" and not paths:
                raise ValueError("must be auto, or a list of module paths, as [stages.0]")
            return layers

        @model_validator(mode="after")
        def _one_weight_and_some_layers(self) -> "SelfDistillation.Params":
            if not self.layers:
                raise ValueError("layers is empty: name at least one, or auto")
            if self.weight is not None and "raw_weight" in self.model_fields_set:
                raise ValueError("give either weight (relative) or raw_weight (as it is), not both")
            return self

    needs: ClassVar[Needs] = Needs(teacher=False, features=True)
    source: ClassVar[str] = "arXiv:1905.08094"
    params: Params

    def __init__(self, params: Params, probe: Probe) -> None:
        """Make a head for each inner layer.

        Raises:
            SpecError: there is no inner layer, or one that is named gives no vectors.
        """
        super().__init__(params, probe)
        inner, last = _paths(params, probe)
        shape = probe.shape
        self.inner = readouts(inner, probe.student, shape, where="layers")
        self.last: Readout | None = None
        if params.hint_weight > 0:
            if last is None:
                raise SpecError(
                    "hint_weight: the student has no stages, blocks or embedding, and so no last "
                    "layer to take hints from: leave it out"
                )
            (self.last,) = readouts([last], probe.student, shape, where="hint_weight")
            width = self.last.width
            self.adapters = nn.ModuleList(nn.Linear(each.width, width) for each in self.inner)
        self.heads = nn.ModuleList(
            _head(each.width, params.hidden, probe.num_classes) for each in self.inner
        )

    @property
    def layers(self) -> Layers:
        """The student's inner layers, and the last where it gives hints."""
        last = () if self.last is None else (self.last.path,)
        return Layers(student=tuple(dict.fromkeys((*(each.path for each in self.inner), *last))))

    def weights(self) -> Mapping[str, Weight]:
        """The hard-label loss as it is, the weight of the heads, and that of the hints if any."""
        params = self.params
        relative = params.weight is not None
        heads = Weight(params.raw_weight if params.weight is None else params.weight, relative)
        hints = {"hint": Weight(params.hint_weight, relative=True)} if self.last else {}
        return {"hard": Weight(1.0), "heads": heads, **hints}

    def terms(self, seen: Seen) -> Mapping[str, Tensor]:
        """``heads``, summed over the layers, and ``hint`` likewise where it has a weight."""
        vectors = [each.of(seen.student, seen.batch) for each in self.inner]
        losses = [
            self._of_head(head(each), seen) for head, each in zip(self.heads, vectors, strict=True)
        ]
        terms = {"heads": total(losses)}
        if self.last is not None:
            last = self.last.of(seen.student, seen.batch).detach()
            hints = [
                hint(adapter(each), last)
                for adapter, each in zip(self.adapters, vectors, strict=True)
            ]
            terms["hint"] = total(hints)
        return terms

    def _of_head(self, logits: Tensor, seen: Seen) -> Tensor:
        alpha, labels = self.params.alpha, seen.batch.labels
        known = (labels != UNLABELLED).sum().clamp(min=1)
        hard = hard_labels(logits, labels) * (len(labels) / known)
        own = seen.student.logits.detach()
        return alpha * hard + (1 - alpha) * soft_targets(logits, own, self.params.temperature)


def _paths(params: SelfDistillation.Params, probe: Probe) -> tuple[tuple[str, ...], str | None]:
    """The inner layers, and the last one, if the student has any that can be called so."""
    if probe.student_anatomy is not None:
        found = tuple(block.hidden for block in probe.student_anatomy.blocks)
    else:
        found = probe.student_stages
    last = found[-1] if found else probe.student_embedding
    if params.layers != "auto":
        return params.layers, last
    if len(found) < 2:
        have = ", ".join(found) or "none"
        raise SpecError(
            "layers: auto puts a head on every stage or block of the student but the last, and it "
            f"has {have}: name the layers to read (layers: [PATH]), or use a deeper student"
        )
    return found[:-1], last


def _head(width: int, hidden: int | None, num_classes: int) -> nn.Module:
    if hidden is None:
        return nn.Linear(width, num_classes)
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))
