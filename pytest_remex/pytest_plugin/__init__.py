"""The pytest plugin: what pytest does with experiments in each mode."""
