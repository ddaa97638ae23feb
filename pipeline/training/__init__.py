"""What every training shares: the trainer, its callbacks, supervised batches and masking."""
