"""Launch records: the memory of what was submitted, one file a launch in the output folder."""
