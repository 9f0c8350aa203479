"""Slurm: submit, release, query and cancel jobs."""
