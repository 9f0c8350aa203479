"""Submit experiments: commits, push, run directories, held jobs, release. Does not import pytest.

`submitter` holds the state of each experiment, with a diagram; `launcher` decides which launch an
experiment belongs to; `pipeline` takes the runs of one launch from commit to released job.
"""
