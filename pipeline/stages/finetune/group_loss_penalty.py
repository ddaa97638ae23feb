"""The penalty on differences between groups in training: how far apart their losses lie among rows of one label."""

import torch


def group_loss_distance(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, groups: torch.Tensor
) -> torch.Tensor:
    """Mean squared distance of a group's mean loss from its label's, a scalar float.

    The mean is over labels, groups and attributes. It is a differentiable form of equalised odds (Hardt et al. 2016)
    with losses in place of errors, as in Donini et al. 2018, "Empirical Risk Minimization under Fairness Constraints".
    ``logits`` and ``targets`` are (rows, classes), float32, ``weights`` (rows,), float32, and ``groups``
    (rows, attributes), int64, with -1 where a group is unknown. A label adds nothing where the batch holds one group of
    its rows.
    """
    losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    labels = targets.argmax(dim=1)
    distances = []
    for codes in groups.T:
        known = codes >= 0
        for label in labels[known].unique():
            of_label = known & (labels == label)
            present = codes[of_label].unique()
            if len(present) < 2:
                continue
            label_mean = weighted_mean(losses[of_label], weights[of_label])
            for group in present:
                of_group = of_label & (codes == group)
                distances.append((weighted_mean(losses[of_group], weights[of_group]) - label_mean) ** 2)
    return torch.stack(distances).mean() if distances else logits.new_zeros(())


def weighted_mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean of ``values`` by ``weights``, both (rows,), float32; 0 where all weights are 0."""
    return (values * weights).sum() / weights.sum().clamp(min=1e-12)
