"""What a family of networks promises: settings nested inside, built for a shape and classes."""

from typing import ClassVar

from torch import Tensor, nn

from kdsweep.batch import Modality, Shape
from kdsweep.spec import Settings


class Family(nn.Module):
    """A network by its YAML name: one subclass per file, its settings nested inside.

    ``forward`` takes one tensor, images ``[N, D, H, W]`` or tokens ``[N, S]`` as ``reads`` says,
    and gives logits ``[N, C]``, nothing else: features are reached from outside by module path, so
    that no network is edited to be distilled. A transformer says in its ``anatomy`` (a property
    that gives ``kdsweep.batch.Anatomy``) where its layers are.
    """

    class Params(Settings):
        """The settings of the family; every subclass has its own."""

    source: ClassVar[str]
    """The paper or document that the network is from."""
    reads: ClassVar[Modality] = "images"
    """What the network takes."""

    def __init__(self, params: Settings, *, shape: Shape, num_classes: int) -> None:
        """Build the network for inputs of ``shape``, of the kind that the family reads.

        Raises:
            SpecError: no network of this family takes such inputs.
        """
        super().__init__()

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``[N, C]`` of images ``[N, D, H, W]`` or tokens ``[N, S]``."""
        raise NotImplementedError
