"""Read the header of a batch script."""
