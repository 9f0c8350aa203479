"""From which photo a run continues, and with which command."""

from __future__ import annotations

import pytest

from pytest_remex.common.jobs import Job, JobState
from pytest_remex.experiment import Experiment, Run
from pytest_remex.extensions.mesa import RunFile, effective_config, find_restart, photo_folders
from pytest_remex.extensions.mesa.job_log import scan_log
from pytest_remex.extensions.mesa.restarts import probe_of, restart_of
from pytest_remex.model import Sweep

RE = """\
photo_directory=photos
function most_recent_photo { ls -t "$photo_directory" | head -n 1; }
if [ $# -eq 0 ]; then photo=$(most_recent_photo); else photo=$1; fi
cp "$photo_directory/$photo" restart_photo && ./star
"""
BATCH = "${REMEX_COMMAND:-./rn}\n"
STAGES = {
    "run.sbatch": BATCH,
    "rn": "do_one inlist_a_header a.mod LOGS_a\ndo_one inlist_b_header b.mod LOGS_b\n",
    "re": RE,
}


def listing(*names, size=900, folder="photos"):
    """Return photos as they lie in a run directory, each a second younger than the one before."""
    return [RunFile(f"{folder}/{name}", size, 100.0 + at) for at, name in enumerate(names)]


@pytest.mark.parametrize(
    ("names", "photo"),
    [
        (["x050", "x100"], "x100"),
        (["x950", "x000"], "x000"),
        (["100", "150"], "150"),
        (["x1000", ".x100.swp", "x.mod", "profile1.data"], "x1000"),
    ],
)
def test_the_newest_photo_is_taken(names, photo):
    """Time orders photos, whose numbers wrap round; old releases write no `x`."""
    assert find_restart(listing(*names), {"re": RE}).command == ("./re", photo)


def test_half_a_photo_is_none():
    """A job killed while it wrote leaves a short file; the one before is whole."""
    files = [*listing("x050", "x100"), RunFile("photos/x150", 200, 200.0)]
    assert find_restart(files, {"re": RE}).photo == "x100"
    assert find_restart([*listing("x050"), RunFile("photos/x150", 0, 200.0)], {}).photo == "x050"
    saved = scan_log([" save photos/x150 for model 150\n"])
    assert find_restart(files, {"re": RE}, saved).photo == "x150"


@pytest.mark.parametrize(
    ("sizes", "photo"),
    [
        ((900, 1000, 600), "x100"),  # the newest may be cut off: the one before costs little
        ((900, 1000, 0), "x100"),
        ((900, 1000, 950), "x150"),
        ((900, 600, 610), "x150"),  # a smaller star, whose photos are small from then on
    ],
)
def test_the_newest_photo_may_be_cut_off(sizes, photo):
    """Photos change in size slowly; only the newest one can have been cut off by the kill."""
    names = ("x050", "x100", "x150")
    files = [
        RunFile(f"photos/{name}", size, at)
        for at, (name, size) in enumerate(zip(names, sizes, strict=True))
    ]
    assert find_restart(files, {"re": RE}).photo == photo


def test_a_binary_s_photo_has_all_its_files():
    """`b_`, `1_` and `2_` together are the photo that `re` takes by its plain name."""
    files = listing("1_x050", "2_x050", "b_x050", "1_x100", "2_x100", "b_x100")
    assert find_restart(files, {"re": RE}).command == ("./re", "x100")
    for lost in files[3:]:
        kept = [file for file in files if file is not lost]
        assert find_restart(kept, {"re": RE}).command == ("./re", "x050")
    assert find_restart(listing("b_x050", "1_x050"), {"re": RE}).command == ()
    point_mass = listing("b_x050", "1_x050", "b_x100", "1_x100")
    assert find_restart(point_mass, {"re": RE}).command == ("./re", "x100")
    log = scan_log([" save photos/b_x050, photos/1_x050 for model 50\n"])
    assert find_restart(point_mass[:2], {"re": RE}, log).command == ("./re", "x050")
    log = scan_log([" save photos/b_x100, photos/1_x100, photos/2_x100 for model 100\n"])
    assert find_restart(listing("1_x100", "b_x100"), {"re": RE}, log).command == ()


def test_empty_photos_of_stand_ins_are_whole():
    """Sizes are compared with each other only."""
    assert find_restart(listing("x050", "x100", size=0), {}).photo == "x100"


def test_photos_are_looked_for_where_mesa_puts_them(tmp_path):
    """`photo_directory` of any group counts, and `re` must look there too."""
    (tmp_path / "inlist").write_text("&controls\n photo_directory = 'shots/'\n/\n")
    folders = photo_folders(effective_config(tmp_path / "inlist"))
    assert folders == ["shots"]
    assert photo_folders(None) == ["photos"]
    files = [*listing("x100", folder="shots"), *listing("x200")]
    there = RE.replace("=photos", "=shots")
    assert find_restart(files, {"re": there}, None, folders).command == ("./re", "x100")
    elsewhere = find_restart(files[:1], {"re": RE}, None, folders)
    assert elsewhere.command == ()
    assert "`re` looks for photos in photos, not in shots" in elsewhere.reason
    assert (
        "`cp -rp shots photos` in the run directory lets it continue from x100" in elsewhere.reason
    )


def test_re_may_be_shown_another_folder_from_its_own():
    """If the folder of MESA's `re` exists, `re` accepts a relative path; a binary's does not."""
    kept = RunFile("photos/.gitkeep", 0, 99.0)
    shots = [*listing("x050", "x100", folder="shots"), kept]
    assert find_restart(shots, {"re": RE}, None, ["shots"]).command == ("./re", "../shots/x100")
    copied = [*shots, RunFile("photos/x150", 900, 300.0)]
    assert find_restart(copied, {"re": RE}, None, ["shots"]).command == ("./re", "x150")
    binary = [*listing("b_x100", "1_x100", "2_x100", folder="shots"), kept]
    assert find_restart(binary, {"re": RE}, None, ["shots"]).command == ()
    there = [*binary, *listing("b_x100", "1_x100", "2_x100")]
    assert find_restart(there, {"re": RE}, None, ["shots"]).command == ("./re", "x100")


def test_without_a_photo_the_reason_is_said():
    """A run that starts over says why, at plan."""
    assert find_restart([], {"re": RE}).reason == "there is no complete photo in photos"
    assert "has no `re`" in find_restart(listing("x100"), {"rn": "./star"}).reason


@pytest.mark.parametrize(
    ("log", "command"),
    [
        (" save photos/x100 for model 100\n", ("./re", "x100")),
        ("3:  save photos/x100 for model 100\n", ("./re", "x100")),
        (" save photos/b_x100, photos/1_x100, photos/2_x100 for model 100\n", ("./re", "x100")),
        ("restart from x100\nslurmstepd: error: *** JOB 4 CANCELLED\n", ("./re", "x100")),
        (" save photos/x100 for model 100\nrestart from x050\n", ("./re", "x050")),
        ("", ("./re",)),
    ],
)
def test_without_a_listing_the_output_tells(log, command):
    """The photo saved last, or the one that this job began with; else `re` may choose itself."""
    assert find_restart(None, {"re": RE}, scan_log([log])).command == command


def test_stages_say_why_they_cannot_go_on():
    """`re` would run one stage and not the later ones."""
    first = find_restart(listing("x100"), STAGES)
    assert first.command == ()
    assert "`./re x100` would continue in stage 1 of 2 without the later ones" in first.reason


def test_the_last_stage_goes_on():
    """Its photo is younger than the models of all the others."""
    files = [*listing("x100"), RunFile("a.mod", 10, 50.0)]
    assert find_restart(files, STAGES).command == ("./re", "x100")
    older = [*listing("x100"), RunFile("a.mod", 10, 500.0)]
    assert "stage 2 of 2" in find_restart(older, STAGES).reason


def test_scripts_that_know_their_stages_are_used():
    """`re_all` takes a photo; a script that skips finished stages is run again in place."""
    assert find_restart(listing("x100"), {**STAGES, "re_all": ""}).command == ("./re_all", "x100")
    skips = {
        **STAGES,
        "run.sbatch": "${REMEX_COMMAND:-./rn_all}\n",
        "rn_all": "[ -f a.mod ] || do_one inlist_a a.mod\n[ -f b.mod ] || do_one inlist_b b.mod\n",
    }
    assert find_restart(listing("x100"), skips).command == ("./rn_all",)


@pytest.fixture
def work(tmp_path):
    """Write a work directory: return a function of its files that returns its path."""

    def write(**texts):
        defaults = {"inlist": "&controls\n/\n", "rn": "./star\n", "re": RE, "run_sbatch": BATCH}
        for name, text in {**defaults, **texts}.items():
            path = tmp_path / name.replace("_sbatch", ".sbatch").replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if name in {"rn", "re", "re_all"} else 0o644)
        return tmp_path

    return write


def of(path, files, log="", **sweep):
    """Return how a run of a work directory continues, from its listed files."""
    probe = probe_of(Experiment(Sweep("tams", **sweep), "id", {}, {}, path))
    (path / "slurm.out").write_text(log)
    return restart_of(run(path), files, probe.memo)


def test_a_listing_tells_whatever_the_output_says(work):
    """Output that was redirected, or ended by a second limit before a new photo, names none."""
    path = work(run_sbatch="${REMEX_COMMAND:-./rn} > out.txt 2>&1\n")
    for log in ("", "slurmstepd: error: *** JOB 4 CANCELLED DUE TO TIME LIMIT ***\n"):
        assert of(path, listing("x050", "x100"), log).command == ("./re", "x100")
    assert of(path, []).command == ()


def test_without_a_listing_the_fetched_output_tells(work):
    """Also the file to which the script sends MESA's output."""
    path = work(run_sbatch="${REMEX_COMMAND:-./rn} > out.txt\n", out__txt="")
    (path / "out.txt").write_text(" save photos/x150 for model 150\n")
    assert of(path, None).command == ("./re", "x150")


def test_a_script_that_is_not_executable_is_run_by_bash(work):
    """A work directory that was copied without its modes can continue all the same."""
    path = work()
    (path / "re").chmod(0o644)
    assert of(path, listing("x100")).command == ("bash", "./re", "x100")
    assert of(path, []).command == ()


def test_what_came_with_the_checkout_is_not_the_run_s(work):
    """A committed photo or model does not count until the run has written its own."""
    path = work(photos__x900="photo", **{"a.mod": "model"}, rn=STAGES["rn"])
    committed = [RunFile("photos/x900", 5, 300.0), RunFile("a.mod", 5, 300.0)]
    assert of(path, committed).command == ()
    assert of(path, [*committed, *listing("x050")]).photo == ""
    one = work(rn="./star\n")
    assert of(one, [*committed, *listing("x050")]).command == ("./re", "x050")
    assert of(one, [RunFile("photos/x900", 800, 300.0)]).command == ("./re", "x900")


def test_a_script_that_does_not_take_the_command_is_told(work):
    """It would start over in the same directory, over the outputs of the first job."""
    path = work(run_sbatch="./rn\n")
    assert "nothing in the work directory runs $REMEX_COMMAND" in of(path, listing("x1")).reason
    path = work(run_sbatch="python3 drive.py\n", **{"drive.py": "os.environ['REMEX_COMMAND']"})
    assert of(path, listing("x001")).command == ("./re", "x001")


def test_photos_outside_the_run_directory_are_not_listed(work):
    """Only the output shows them."""
    path = work(inlist="&controls\n photo_directory = '/scratch/photos'\n/\n", re="./star\n")
    assert probe_of(Experiment(Sweep("tams"), "id", {}, {}, path)).patterns == ("*.mod",)
    log = " save /scratch/photos/x100 for model 100\n"
    assert of(path, [], log).command == ("./re", "x100")


def test_a_committed_link_is_not_the_run_s_own(work, tmp_path_factory):
    """Photos behind a committed link may be another run's; one inside the run directory is not."""
    path, elsewhere = work(), tmp_path_factory.mktemp("scratch")
    (elsewhere / "x900").write_text("another star")
    (path / "photos").symlink_to(elsewhere)
    how = of(path, listing("x900"))
    assert how.command == ()
    assert "photos is committed as a link to a folder that all runs would share" in how.reason
    (path / "photos").unlink()
    (path / "photos").symlink_to("own")
    (path / "own").mkdir()
    assert of(path, listing("x100")).command == ("./re", "x100")


def test_a_point_mass_has_no_photos(work):
    """If one star of a binary is evolved, the first photo has two files."""
    job = "&binary_job\n evolve_both_stars = .false.\n/\n"
    files = listing("b_x050", "1_x050")
    assert of(work(inlist=job), files).command == ("./re", "x050")
    assert of(work(inlist="&binary_job\n/\n"), files).command == ()


def test_a_sweep_s_own_script_is_read(work):
    """`script="job.sh"` is the batch script, and its stages count."""
    path = work(**{"job.sh": "${REMEX_COMMAND:-./rn}\n"}, rn=STAGES["rn"])
    assert "stage 1 of 2" in of(path, listing("x100"), script="job.sh").reason


def run(path):
    """Return a run whose outputs are in `path`."""
    experiment = Experiment(Sweep("tams"), "id", {}, {}, path)
    job = Job("1", JobState.TIMEOUT)
    return Run(path, None, job, path / "slurm.out", experiment, lambda path, _: path)
