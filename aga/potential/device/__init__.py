"""The committee on a GPU, by PyTorch."""
