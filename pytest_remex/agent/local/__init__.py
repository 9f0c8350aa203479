"""The local scheduler: jobs on this machine, where there is no cluster."""
