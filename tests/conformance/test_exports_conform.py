"""Every family of networks is exported in every format: a new file is tested by being there."""

import pytest
import torch
from test_models_conform import CLASSES, SMALL, inputs, shapes_of

from kdsweep import catalog
from kdsweep.data.treatment import Normalisation
from kdsweep.export import files, onnx_file, quantise
from kdsweep.export.inputs import Contract, deployed
from kdsweep.export.tracing import traced
from kdsweep.spec import Component

TINY = {
    **SMALL,
    "resnet": {"depth": 8, "width": 4},
    "wide_resnet": {"depth": 10, "width": 1},
    "torchvision": {"model": "squeezenet1_1"},
    "mobilenet": {"width": 0.1, "depth": 0.3},
    "shufflenet": {"depth": 1, "width": 16, "head": 16},
    "vgg": {"width": 4},
    "cnn": {"width": 4},
    "vit": {"patch": 8, "width": 16, "depth": 2, "heads": 2},
}
NORMALISATION = Normalisation((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def contract_of(name):
    """With a normalisation of three channels, or for texts."""
    shape = shapes_of(name)[1]
    reads = getattr(catalog.find("model", name), "reads", "images")
    return Contract(shape, None if reads == "tokens" else NORMALISATION)


@pytest.fixture(scope="module", params=catalog.names("model"))
def family(request):
    name = request.param
    contract = contract_of(name)
    torch.manual_seed(0)
    component = Component(name=name, **TINY.get(name, {}))
    network = catalog.model(component, shape=contract.shape, num_classes=CLASSES).eval()
    return network, contract, traced(deployed(network, contract), contract)


@pytest.mark.parametrize("format", files.FORMATS)
def test_a_family_is_exported_for_any_number_of_samples(family, format, tmp_path):
    network, contract, program = family
    runner = files.write(
        network, program, contract, format, folder=tmp_path, num_classes=CLASSES
    )  # fmt: skip
    seen = inputs(contract.shape)
    if contract.normalisation is not None:
        mean, std = (torch.tensor(each).view(-1, 1, 1) for each in (
            NORMALISATION.mean, NORMALISATION.std
        ))  # fmt: skip
        pixels = (seen * 60 + 128).clamp(0, 255).to(torch.uint8)
        seen = (pixels / 255 - mean) / std
    else:
        pixels = seen
    with torch.inference_mode():
        wanted = network(seen)
    torch.testing.assert_close(runner(pixels), wanted, rtol=1e-3, atol=1e-4)
    for num in (1, 3):
        torch.testing.assert_close(runner(pixels[:num]), wanted[:num], rtol=1e-3, atol=1e-4)
    many = pixels.repeat(9, *[1] * (pixels.dim() - 1))
    torch.testing.assert_close(runner(many), wanted.repeat(9, 1), rtol=1e-3, atol=1e-4)
    assert wanted.std() > 0
    if format == "onnx":
        assert_int8_is_near(runner(pixels), pixels, contract, tmp_path)


def assert_int8_is_near(exact, pixels, contract, folder):
    """Untrained networks hardly tell their inputs apart: this is about whether it runs at all."""
    quantise.write_int8(folder / files.ONNX, folder / files.INT8, [pixels], contract)
    opened = onnx_file.session(folder / files.INT8)
    coarse = onnx_file.run(opened, pixels)
    assert (coarse - exact).abs().max() <= 0.25 * exact.abs().max()
    torch.testing.assert_close(onnx_file.run(opened, pixels[:1]), coarse[:1])
