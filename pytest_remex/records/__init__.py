"""Launch records: what was sent, and where it is."""
