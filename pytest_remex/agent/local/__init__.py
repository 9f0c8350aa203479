"""The local scheduler: runs jobs on this machine, without a cluster."""
