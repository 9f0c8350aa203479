"""Helpers of cluster tests and benchmarks: a real Slurm, a real sshd, and faults for both."""
