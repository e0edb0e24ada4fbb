"""FireWorks carries control: one Firetask per step, the next step decided from the store."""
