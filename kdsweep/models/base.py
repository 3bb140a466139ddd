"""What a family of networks promises: settings nested inside, built for a shape and classes."""

from typing import ClassVar

from torch import Tensor, nn

from kdsweep.spec import Settings


class Family(nn.Module):
    """A network by its YAML name: one subclass per file, its settings nested inside.

    ``forward`` takes ``[N, D, H, W]`` and gives logits ``[N, C]``, nothing else: features are
    reached from outside by module path, so that no network is edited to be distilled.
    """

    class Params(Settings):
        """The settings of the family; every subclass has its own."""

    source: ClassVar[str]
    """The paper or document that the network is from."""

    def __init__(self, params: Settings, *, shape: tuple[int, int, int], num_classes: int) -> None:
        """Build the network for images of ``shape`` ``(D, H, W)``.

        Raises:
            SpecError: no network of this family takes such images.
        """
        super().__init__()

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[N, C]`` of images ``[N, D, H, W]``."""
        raise NotImplementedError
