"""What ``kdsweep check`` says of how trials will compute."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kdsweep.data.base import DataInfo
    from kdsweep.spec import Component, TrainSpec


def in_words(
    train: "TrainSpec", students: "Mapping[str, Component]", info: "DataInfo", *, gpu: bool
) -> str:
    """What ``auto`` comes to on this machine for students by name, where that is known before.

    Students of other data than ``info`` are left out; of none it is what the settings say.
    """
    import torch

    from kdsweep.batch import Tokens
    from kdsweep.catalog import shape_for
    from kdsweep.errors import SpecError
    from kdsweep.sweep_file import computing_words
    from kdsweep.sweep_file.rehearsal import without_weights
    from kdsweep.train.running import bf16_is_timed, foreseen

    device = torch.device("cuda" if gpu else "cpu")
    found: dict[str, list[str]] = {}
    for name, component in students.items():
        try:
            shape, network = shape_for(component, info), without_weights(component, info)
        except SpecError:
            continue
        side = 0 if isinstance(shape, Tokens) else min(shape[1:])
        running = foreseen(train, network, side, device)
        found.setdefault(running.words, []).append(name)
    if not found:
        return computing_words(train)
    said = "; ".join(
        f"{words} ({', '.join(names)})" if len(found) > 1 else words
        for words, names in found.items()
    )
    settings = {"precision": train.precision, "memory format": train.memory_format,
                "compile": train.compile}  # fmt: skip
    chosen = [name for name, setting in settings.items() if setting == "auto"]
    if not chosen:
        return said
    timed = ", bf16 if that is faster in two batches" if bf16_is_timed(train, device) else ""
    return f"{said} (auto: {', '.join(chosen)}{timed})"
