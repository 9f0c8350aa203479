"""Make run directories: fetch commits, check them out, and publish complete directories."""
