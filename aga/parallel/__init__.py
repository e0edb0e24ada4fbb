"""Several processes at one task: MPI ranks, a pool of workers, programs that end with us."""
