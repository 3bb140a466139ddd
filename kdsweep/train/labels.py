"""Which of the training labels are used, where not all are."""

import torch
from torch import Tensor

from kdsweep.data.base import Split
from kdsweep.data.partition import stratified_subset
from kdsweep.spec import TrialSpec


def labelled(trial: TrialSpec, split: Split, device: torch.device) -> Tensor | None:
    """Whether the label of each training example is used, ``[n]``; ``None`` if all are.

    ``train.label_share`` of them are, the classes in their proportions, drawn by the trial's seed.
    """
    share = trial.train.label_share
    if share == 1:
        return None
    labels = split.labels.cpu().numpy()
    kept = stratified_subset(labels, max(1, round(share * len(labels))), seed=trial.seed)
    known = torch.zeros(len(labels), dtype=torch.bool)
    known[torch.from_numpy(kept)] = True
    return known.to(device)
