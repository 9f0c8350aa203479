"""Collect: query jobs, fetch outputs, judge runs. Does not need pytest."""
