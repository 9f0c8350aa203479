"""Run directories: fetch commits, check them out, publish whole directories."""
