"""Sends experiments out: commits, push, run directories, held jobs, release. Imports no pytest.

`submitter` holds the state of each experiment, and draws it; `launcher` decides in which launch an
experiment goes; `pipeline` takes the runs of one launch from commit to released job.
"""
