"""What pytest does with experiments in each mode."""
