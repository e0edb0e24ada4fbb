"""Training the committee: labelled frames, loss, focal weights, fit, metrics."""
