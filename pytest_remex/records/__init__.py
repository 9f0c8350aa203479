"""Launch records: what was submitted, one file per launch in the output folder."""
