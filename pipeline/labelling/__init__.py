"""What to label next, tasks for Label Studio, and the labels and texts that came back."""
