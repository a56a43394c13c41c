"""A study: pre-trainings × arms × label fractions × draws × seeds, each cell a run folder of its own."""
