"""The queue: typed wrappers round SLURM's commands, and the files that `aga submit` starts from."""
