"""Numbers about predictions: scores with intervals, calibration, and differences between groups."""
