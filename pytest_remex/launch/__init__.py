"""Submit experiments: commits, push, run directories, held jobs, release. Does not import pytest.

The way of an experiment, with the modules that take it a step on; `candidate` draws it:

1. `preparation`: its patch is run, checked and committed.
2. `known`, `recognition`: the launch records tell which runs it has.
3. `decision`: what is done with it. A plan (`plan`) ends here.
4. `queue`, `submitter`: it waits for its batch, which is sent while the next one is prepared;
   `doctor` checks the cluster first, `retry` asks how the last job ended, `upstreams` what it
   comes after. `listener` is whoever submits: pytest, or a script.
5. `launcher`, `session`: it gets into a launch with a launch record.
6. `pipeline`: `claims` claims it, `push` brings its commit to the clone, `submissions` says what
   one sbatch submits; its job is held, recorded, released.
7. `discard`: removes what an interrupted launch left; `cancel` does so before it cancels jobs.
"""
