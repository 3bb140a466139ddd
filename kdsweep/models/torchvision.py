"""Torchvision's classification networks by their own names."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, ClassVar

import torch
from pydantic import Field, field_validator, model_validator
from torch import nn
from torch.overrides import TorchFunctionMode
from torchvision import models

from kdsweep.errors import SpecError
from kdsweep.models.base import Family
from kdsweep.models.modes import evaluating
from kdsweep.spec import Settings

_LARGEST_SIDE = 1024


class Torchvision(Family):
    """Any classification network of torchvision, with new random weights: nothing is downloaded.

    What is built is torchvision's own class, so that module paths and the names in its weights are
    torchvision's (``layer1``, ``fc.weight``). For images that do not have three channels the first
    convolution is made for theirs. Vision transformers are built for the image's side. The
    auxiliary heads of googlenet and inception_v3 are left out.
    """

    class Params(Settings):
        """The network's name in torchvision, and its width where that can be varied."""

        model: str = "resnet18"
        width_mult: float | None = Field(
            None, gt=0, le=16, description="factor of the channels: mobilenet_v2 and mobilenet_v3"
        )

        @field_validator("model")
        @classmethod
        def _known(cls, model: str) -> str:
            known = models.list_models(module=models)
            if model not in known:
                close = get_close_matches(model, known, n=3, cutoff=0.5)
                hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
                raise ValueError(
                    f"torchvision has no such classification model{hint} "
                    f"(its {len(known)} names: torchvision.models.list_models)"
                )
            return model

        @model_validator(mode="after")
        def _width_can_vary(self) -> "Torchvision.Params":
            if self.width_mult is not None and not self.model.startswith("mobilenet_"):
                raise ValueError(
                    f"{self.model} has no width_mult, only mobilenet_v2, mobilenet_v3_small and "
                    "mobilenet_v3_large do: leave it out"
                )
            return self

    source: ClassVar[str] = "torchvision.models, and the paper that its documentation names"

    def __new__(  # type: ignore[misc]  # A wrapper would put a prefix before every path and weight.
        cls, params: Params, *, shape: tuple[int, int, int], num_classes: int
    ) -> nn.Module:
        """Build torchvision's network for images of ``shape`` ``(D, H, W)``.

        Raises:
            SpecError: the images are too small for it, or not of a shape that it can be built for.
        """
        _check_shape(params.model, params.width_mult, shape)
        return _build(params.model, params.width_mult, shape, num_classes)


def _build(
    model: str, width_mult: float | None, shape: tuple[int, int, int], num_classes: int
) -> nn.Module:
    settings: dict[str, Any] = {} if width_mult is None else {"width_mult": width_mult}
    if model in ("googlenet", "inception_v3"):
        settings |= {"aux_logits": False, "init_weights": True}
    elif model.startswith("vit_"):
        settings["image_size"] = shape[1]
    elif model.startswith("maxvit_"):
        settings["input_size"] = shape[1:]
    if model.startswith("regnet_") and torch.get_default_device().type == "meta":
        network = _regnet_on_meta(model, num_classes)
    else:
        network = models.get_model(model, weights=None, num_classes=num_classes, **settings)
    if shape[0] != 3:
        _take_channels(network, shape[0])
    return network


def _regnet_on_meta(model: str, num_classes: int) -> nn.Module:
    """Regnets compute their widths with tensors, which need values; their weights do not."""
    with torch.device("cpu"), _EmptyOnMeta():
        network: nn.Module = models.get_model(model, weights=None, num_classes=num_classes)
    return network.to("meta")


class _EmptyOnMeta(TorchFunctionMode):
    """What layers allocate for their weights holds no values; all other tensors do."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch.empty:
            given["device"] = "meta"
        return func(*args, **given)


def _take_channels(network: nn.Module, channels: int) -> None:
    """Give the first convolution new weights for images of that many channels."""
    first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    first.in_channels = channels
    first.weight = nn.Parameter(
        first.weight.new_empty(first.out_channels, channels, *first.kernel_size)
    )
    first.reset_parameters()


@lru_cache(maxsize=1024)
def _check_shape(model: str, width_mult: float | None, shape: tuple[int, int, int]) -> None:
    """Pass if the network takes such images; remembered for the trials to come."""
    refusal = _refusal(model, width_mult, shape)
    if refusal is not None:
        raise SpecError(
            f"{model} does not take images of {'x'.join(map(str, shape))} ({refusal}); it takes "
            f"{_sizes_taken(model, width_mult, shape[0])}: change the data's size or the model"
        )


def _sizes_taken(model: str, width_mult: float | None, channels: int) -> str:
    if model.startswith("vit_"):
        return f"squares whose side is a multiple of {model.rpartition('_')[2]}"
    if model.startswith("maxvit_"):
        return "sides that are multiples of 224"
    smallest = bisect_left(
        range(1, _LARGEST_SIDE + 1),
        True,
        key=lambda side: _refusal(model, width_mult, (channels, side, side)) is None,
    )
    return f"sides of at least {smallest + 1}"


def _refusal(model: str, width_mult: float | None, shape: tuple[int, int, int]) -> str | None:
    """Why the network fails on such an image, tried on the meta device; None if it takes it."""
    try:
        with torch.device("meta"):
            network = _build(model, width_mult, shape, 2)
            with evaluating(network), torch.no_grad():
                network(torch.empty(1, *shape))
    except (RuntimeError, ValueError, AssertionError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".!")
    return None
