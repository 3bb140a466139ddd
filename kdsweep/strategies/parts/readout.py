"""A layer of a network, read as one vector for each example."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from kdsweep.batch import Batch, Outputs, Shape, Tokens
from kdsweep.errors import SpecError, TrialError
from kdsweep.losses.precision import full_precision
from kdsweep.strategies.base import Probe, probed_teacher
from kdsweep.strategies.parts.pairing import unknown_layer


@dataclass(frozen=True)
class Readout:
    """Vectors ``[N, width]`` from the layer at ``path``, in float32 at least.

    Vectors are read as they are, maps ``[N, D, H, W]`` as their mean over the pixels, sequences
    ``[N, S, D]`` as their mean over the positions: ``of_tokens`` leaves out those of padding.
    """

    path: str
    width: int
    of_tokens: bool = False

    def of(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The vectors of a network's outputs for ``batch``.

        Raises:
            TrialError: the layer does not give one vector for each token.
        """
        features = full_precision(outputs.features[self.path])
        if features.ndim == 2:
            return features
        if features.ndim == 4:
            return features.mean(dim=(2, 3))
        return self._over_tokens(features, batch) if self.of_tokens else features.mean(dim=1)

    def _over_tokens(self, features: Tensor, batch: Batch) -> Tensor:
        tokens = batch.tokens
        if features.shape[:2] != tokens.shape:
            raise TrialError(
                f"{self.path!r} gives {list(features.shape)} for tokens {list(tokens.shape)}: "
                "must be one vector for each token, [N, S, D]; name another layer"
            )
        words = (tokens != 0).unsqueeze(2)
        # Of padding alone nothing is read: zeros, not the mean of no numbers.
        return features.where(words, 0).sum(dim=1) / words.sum(dim=1).clamp(min=1)


def student_readout(probe: Probe, path: str | None) -> Readout:
    """The student at ``path``, by default at its embedding; for settings named ``student_layer``.

    Raises:
        SpecError: there is no such layer, it gives no vectors, or there is no embedding.
    """
    path = path or probe.student_embedding
    return _named("student", path, probe.student, probe.shape)


def teacher_readout(probe: Probe, path: str | None) -> Readout:
    """The teacher at ``path``, by default at its embedding; for settings named ``teacher_layer``.

    Raises:
        SpecError: as ``student_readout``, or there is no teacher.
    """
    path = path or probe.teacher_embedding
    return _named("teacher", path, probed_teacher(probe), probe.teacher_shape)


def readouts(
    paths: Sequence[str], outputs: Outputs, shape: Shape | None, *, where: str
) -> tuple[Readout, ...]:
    """A network at each of ``paths``, which the setting ``where`` names.

    ``outputs`` are those of a probe, ``shape`` is that of what the network sees.

    Raises:
        SpecError: there is no such layer, or it gives no vectors; every problem at once.
    """
    problems = [
        problem
        for number, path in enumerate(paths)
        for problem in _problems(path, outputs, f"{where}.{number}")
    ]
    if problems:
        raise SpecError(problems)
    return tuple(_readout(path, outputs, shape) for path in paths)


def _named(who: str, path: str | None, outputs: Outputs, shape: Shape | None) -> Readout:
    setting = f"{who}_layer"
    if path is None:
        raise SpecError(
            f"{setting}: the {who} has no embedding (no linear layer gives its logits from "
            f"vectors): name the layer to read, {setting}: PATH"
        )
    problems = _problems(path, outputs, setting)
    if problems:
        raise SpecError(problems)
    return _readout(path, outputs, shape)


def _readout(path: str, outputs: Outputs, shape: Shape | None) -> Readout:
    features = outputs.features[path]
    width = features.shape[2 if features.ndim == 3 else 1]
    return Readout(path, width, of_tokens=isinstance(shape, Tokens))


def _problems(path: str, outputs: Outputs, where: str) -> list[str]:
    unknown = unknown_layer(where, path, outputs.features)
    if unknown:
        return unknown
    shape, num_examples = outputs.features[path].shape, len(outputs.logits)
    if len(shape) in (2, 3, 4) and shape[0] == num_examples:
        return []
    return [
        f"{where}: layer {path!r} gives {list(shape)} for {num_examples} examples: must be vectors "
        "[N, D], sequences [N, S, D] or maps [N, D, H, W]; name another layer"
    ]
