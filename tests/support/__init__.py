"""What the cluster tests and the benchmarks share: a real Slurm, a real sshd, and faults for both."""
