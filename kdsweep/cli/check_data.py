"""What ``kdsweep check`` says of data: how many there are, and how loaded teachers see them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdsweep.data.base import DataInfo
    from kdsweep.data.survey import Survey
    from kdsweep.spec import Component
    from kdsweep.sweep_file import Sweep


def data_of(info: "DataInfo", survey: "Survey | None") -> dict[str, Any]:
    """Classes, samples of each part, and how many files were opened; ``None`` where not known."""
    return {
        "num_classes": info.num_classes,
        "class_names": list(info.class_names),
        "samples": None if survey is None else dict(survey.counts),
        "files_opened": None if survey is None else survey.num_opened,
    }


def data_words(data: "Component", info: "DataInfo", survey: "Survey | None") -> str:
    """``image_folder: 5 classes, images of 3x32x32; train 60, validation 20, test 20``."""
    from kdsweep.batch import in_words

    shapes = " and ".join(in_words(shape) for shape in info.shapes.values())
    counted = "" if survey is None else f"; {survey.words}"
    return f"{data.name}: {info.num_classes} classes, {shapes}{counted}"


def seen_by_teachers(sweep: "Sweep") -> list[str]:
    """How loaded teachers see the images, for the trial and the ends of the space."""
    from kdsweep.sweep_file import at_corners, normalisation_words

    return normalisation_words([sweep.spec.trial, *at_corners(sweep)])
