"""Methods that minimise the loss, one idea per file."""
