"""An ONNX file with int8 weights and 8-bit arithmetic, calibrated on training samples."""

import logging
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from kdsweep.data.base import Split
from kdsweep.data.withheld import WithheldSplit
from kdsweep.errors import ResultError, in_one_line
from kdsweep.export.inputs import Contract

CALIBRATION_SAMPLES = 512
_BATCH = 64


def calibration(network: nn.Module, train: Split, contract: Contract) -> list[Tensor]:
    """Some training samples as the exported network takes them, in batches.

    They are of all classes, and as an epoch shows them: what the network was trained on.

    Raises:
        ResultError: the trial may read no training data.
    """
    if isinstance(train, WithheldSplit):
        raise ResultError(
            "--int8 is calibrated on training samples, and this trial reads none (its strategy "
            "learns without data): leave --int8 out"
        )
    batches = train.shuffled(batch_size=_BATCH, epoch=0, seed=0)
    few = islice(batches, CALIBRATION_SAMPLES // _BATCH)
    return [contract.raw(batch.seen_by(network)) for batch in few]


def write_int8(source: Path, target: Path, calibrating: list[Tensor], contract: Contract) -> None:
    """Write ``source`` with int8 weights, one scale for each channel, and 8-bit activations.

    ONNX Runtime's static quantisation: ranges of activations are the smallest and largest values
    that the calibration samples give.

    Raises:
        ResultError: ONNX Runtime cannot quantise it.
    """
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises, on the root logger
    try:
        with tempfile.TemporaryDirectory() as folder:
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared), str(target), _reader(calibrating, contract.name),
                quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
            )  # fmt: skip
    except Exception as error:  # the library raises what it likes
        raise ResultError(f"ONNX Runtime cannot quantise it: {in_one_line(error)}") from error
    finally:
        root.setLevel(level)


def _reader(calibrating: list[Tensor], name: str) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """The samples, batch by batch."""

        def __init__(self) -> None:
            self._rest: Iterator[Tensor] = iter(calibrating)

        def get_next(self) -> dict[str, Any] | None:
            """The next batch; none at the end."""
            batch = next(self._rest, None)
            return None if batch is None else {name: batch.numpy()}

    return Reader()
