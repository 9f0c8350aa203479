"""Runs of RemoteExperiments whose run directories are still on the cluster."""

from __future__ import annotations

import pickle

from support.sshd import HOST, TRANSPORT

from pytest_remex import Remote, Repo, results
from pytest_remex.remote_experiments import import_runs

HISTORY = "1 2\nversion_number initial_mass\nr1 1.0\n\n1 2 3\nmodel_number star_age center_h1\n"


def test_more_is_fetched_from_there(user, tmp_path):
    """What was downloaded is imported, and a collect fetches and judges what is still there."""
    name = "main_tams_time_2021_01_12_10_21_25_sha_694c"
    place = user.project.runs / name
    (place / "LOGS").mkdir(parents=True)
    (place / "LOGS" / "history.data").write_text(f"{HISTORY}1 1e9 0.7\n2 2e9 0.0\n")
    (place / "slurm.out").write_text("a star of mass 1.0\n")
    inlist = (user.repository / "inlist_project").read_text()
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    for path in (place / "inlist_project", downloads / f"{name}_inlist_project"):
        path.write_text(inlist)
    facts = {"name": "tams", "branch": "main", "base_config": {}, "run_shas": ["694c"]}
    facts |= {"dimensions": {("initial_mass",): [(1.0,)]}}
    facts |= {"parent_sha": user.project.commit({"notes": "old\n"})[:8]}
    batch = tmp_path / "tams_2021_01_12_10_30_00.pkl"
    batch.write_bytes(pickle.dumps(facts))
    there = Remote(HOST, user.project.clone, user.project.runs, transport=TRANSPORT)
    import_runs(
        downloads,
        repo=Repo(user.repository),
        sweeps=batch,
        config_file="inlist_project",
        remote=there,
        output=user.output,
    )
    user.sweep(1.0)
    user.collect().succeeded()
    assert list(results(user.output / "tams")["age"]) == [2e9]
    assert place.is_dir()
