"""What every training shares: its batches, checkpoints, callbacks and Trainer, supervised training, masked words."""
