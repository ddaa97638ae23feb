"""What makes groups more even: row weights and class offsets, chosen without a group as a model input."""
