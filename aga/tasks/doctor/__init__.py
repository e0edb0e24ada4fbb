"""Whether a machine is fit for a search: one small check each, which give findings."""
