"""Collecting: query jobs, fetch outputs, judge runs. Needs no pytest."""
