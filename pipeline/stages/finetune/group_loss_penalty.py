"""A penalty on unequal treatment in training: how far the losses of groups lie apart, among rows of the same label."""

import torch


def losses(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """Mean squared distance of a group's mean loss from that of its label, over labels, groups and attributes.

    A differentiable form of equalised odds (Hardt et al. 2016) with losses in place of errors, as in Donini et al.
    2018, "Empirical Risk Minimization under Fairness Constraints". ``logits`` and ``targets`` are (rows, classes),
    ``weights`` (rows,), ``groups`` (rows, attributes) with -1 where unknown. Labels of which a batch holds one group
    add nothing.
    """
    each = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    labels = targets.argmax(dim=1)
    found = []
    for column in groups.T:
        known = column >= 0
        for label in labels[known].unique():
            rows = known & (labels == label)
            there = column[rows].unique()
            if len(there) < 2:
                continue
            mean = weighted(each[rows], weights[rows])
            for group in there:
                mine = rows & (column == group)
                found.append((weighted(each[mine], weights[mine]) - mean) ** 2)
    return torch.stack(found).mean() if found else logits.new_zeros(())


def weighted(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean; 0 weights count nothing."""
    return (values * weights).sum() / weights.sum().clamp(min=1e-12)
