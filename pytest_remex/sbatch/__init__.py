"""Reading the header of a batch script."""
