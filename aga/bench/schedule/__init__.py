"""How well the schedule keeps workers busy: real scheduler, database and workers, timed jobs."""
