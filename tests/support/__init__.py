"""What cluster tests and benchmarks share: a real Slurm, a real sshd, and faults for both."""
