"""The initial weights that the convolutional families share."""

from torch import nn


def he_normal(network: nn.Module) -> None:
    """Convolutions from He's normal distribution over outgoing connections, norms as identity.

    As both families of residual networks were published (arXiv:1502.01852).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
