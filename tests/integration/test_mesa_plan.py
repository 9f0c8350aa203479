"""A plan's warnings about MESA's inlists, before a core-hour is spent."""

import re

import pytest

CHAIN = """\
&star_job
 read_extra_star_job_inlist(1) = .true.
 extra_star_job_inlist_name(1) = 'inlist_project'
/
&controls
 read_extra_controls_inlist(1) = .true.
 extra_controls_inlist_name(1) = 'inlist_project'
/
"""
PROJECT = "&star_job\n/\n&kap\n Zbase = 0.014\n/\n&controls\n initial_mass = 3\n/\n"
STAR = """\
&controls
 mixing_length_alpha = 1.8
 read_extra_controls_inlist(1) = .true.
 extra_controls_inlist_name(1) = 'inlist_extra'
/
"""
SWEEPS = """
from pytest_remex import sweep
from pytest_remex.extensions.mesa import patch_inlist

@sweep({{"value": {values}}}, config_file={config_file!r})
def stars(experiment):
    patch_inlist(experiment.path / {file!r}, {{{setting!r}: experiment.config["value"]}})
"""


@pytest.fixture
def planned(empty_project):
    """Return a function that plans a sweep which patches one setting of a work directory."""

    def plan(file, setting, values, *, config_file=None, **files):
        for name, text in {"inlist": CHAIN, "inlist_project": PROJECT, **files}.items():
            empty_project.write(name, text)
        empty_project.git("add", "--all")
        empty_project.git("commit", "--quiet", "--allow-empty", "--message", "work")
        empty_project.sweeps(
            SWEEPS.format(values=values, file=file, setting=setting, config_file=config_file)
        )
        result = empty_project.pytest("--remex-plan")
        assert result.ret == 0
        return result.stdout

    return plan


def test_a_group_that_is_not_read(planned):
    """Plan warns of two experiments that would be the same star, with the lines to add."""
    said = planned("inlist_project", "kap.Zbase", [0.01, 0.02])
    said.fnmatch_lines(["MESA ignores zbase in &kap of inlist_project: inlist reads *"])
    said.fnmatch_lines(["*from it: add read_extra_kap_inlist(1) = .true. and extra_kap_inlist_na*"])


def test_a_group_that_is_not_read_and_not_patched(planned):
    """Plan warns of settings that MESA ignores even if the sweep leaves them; not of plots."""
    project = f"{PROJECT}&pgstar\n pause = .true.\n/\n"
    said = planned("inlist_project", "controls.initial_mass", [1, 2], inlist_project=project)
    said.fnmatch_lines(["MESA ignores zbase in &kap of inlist_project: inlist reads *"])
    said.no_fnmatch_line("MESA ignores *&pgstar*")
    assert said.str().count("MESA ignores") == 1


def test_a_file_outside_the_chain(planned):
    """Names that no inlist in the chain has are among them."""
    said = planned("inlist_other", "controls.my_thing", [1], inlist_other="&controls\n/\n")
    said.fnmatch_lines(["MESA ignores my_thing in &controls of inlist_other: *"])


def test_an_overridden_setting(planned):
    """The later line wins."""
    inlist = CHAIN.replace("&controls", "&controls\n initial_mass = 1")
    said = planned("inlist", "initial_mass", [5], inlist=inlist)
    said.fnmatch_lines(["*initial_mass = 5 in inlist line 6 is overridden by 3 in inlist_project*"])


@pytest.mark.parametrize("mode", ["--remex-plan", "--remex-submit"])
@pytest.mark.parametrize(
    ("file", "why"),
    [
        (
            "inlist",
            "*initial_mass = 5 in inlist line 6 is overridden by 3 in inlist_project line *",
        ),
        ("inlist_other", "MESA ignores initial_mass in &controls of inlist_other: no inlist *"),
    ],
)
def test_why_the_config_is_another(empty_project, mode, file, why):
    """A config that is not the one asked for is refused with the reason, in plan and submit."""
    files = {
        "inlist": CHAIN.replace("&controls", "&controls\n initial_mass = 1"),
        "inlist_project": PROJECT,
        "inlist_other": "&controls\n initial_mass = 1\n/\n",
    }
    for name, text in files.items():
        empty_project.write(name, text)
    empty_project.commit("work")
    sweeps = SWEEPS.format(values=[5], file=file, setting="initial_mass", config_file=None)
    empty_project.sweeps(sweeps.replace('"value"', '"initial_mass"'))
    result = empty_project.pytest(mode)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*initial_mass: asked for 5, the checkout has 3;*", why])


@pytest.mark.parametrize(("file", "more"), [("inlist_project", ""), ("model.nml", "x_ctrl(4) = 9")])
def test_lists_of_any_length(empty_project, file, more):
    """A list of one value is what was asked for, and so is one before elements further on."""
    changed = PROJECT.replace("&controls", f"&controls\n{more}")
    for name, text in {"inlist": CHAIN, "inlist_project": PROJECT, file: changed}.items():
        empty_project.write(name, text)
    empty_project.commit("work")
    sweeps = SWEEPS.format(
        values=[[5], [5, 6]], file=file, setting="controls.x_ctrl", config_file=file
    )
    empty_project.sweeps(sweeps.replace('"value"', '"x_ctrl"'))
    result = empty_project.pytest("sweeps.py")
    result.assert_outcomes(passed=2)
    result.stdout.no_fnmatch_line("*cannot be compared*")


def test_a_star_of_a_binary(planned):
    """`inlist_names` leads to the stars' inlists, and what they read counts."""
    binary = "&binary_job\n inlist_names(1) = 'inlist1'\n inlist_names(2) = 'inlist2'\n/\n"
    extra = "&controls\n mixing_length_alpha = 1.5\n/\n"
    files = {"inlist1": STAR, "inlist2": STAR, "inlist_extra": extra}
    said = planned("inlist1", "mixing_length_alpha", [2.0], inlist=binary, **files)
    said.fnmatch_lines(
        ["*mixing_length_alpha = 2.0 in inlist1 *is overridden by 1.5 in inlist_ex*"]
    )
    said.no_fnmatch_line("*does not read*")
    said = planned(
        "inlist2", "mixing_length_alpha", [2.0], **files, inlist=binary.replace("2'", "1'")
    )
    said.fnmatch_lines(
        ["MESA ignores * in &controls of inlist2: no inlist that inlist1 reads*of inlist1"]
    )


def test_the_inlist_of_a_point_mass(planned):
    """MESA ignores the second star's inlist if it is a point mass, so it may also be missing."""
    binary = "&binary_job\n evolve_both_stars = .false.\n inlist_names(2) = 'inlist2'\n/\n"
    files = {"inlist": binary, "inlist1": STAR, "inlist_extra": "&controls\n/\n"}
    said = planned("inlist1", "mixing_length_alpha", [2.0], **files)
    said.no_fnmatch_line("*inlist2*")
    said = planned("inlist2", "mixing_length_alpha", [2.0], **files, inlist2=STAR)
    said.fnmatch_lines(
        ["MESA ignores mixing_length_alpha in &controls of inlist2: *evolve_both_stars*"]
    )


def test_the_root_that_the_script_names(planned):
    """`MESA_INLIST` in the batch script is where MESA starts."""
    script = "#!/bin/sh\nexport MESA_INLIST=inlist_main\n./star\n"
    main = "&controls\n initial_mass = 1\n/\n"
    files = {"run.sbatch": script, "inlist_main": main}
    said = planned("inlist_main", "initial_mass", [2.0], config_file="inlist_main", **files)
    said.no_fnmatch_line("*does not read*")
    said = planned("inlist_project", "initial_mass", [2.0], **files)
    said.fnmatch_lines(["MESA ignores * in &controls of inlist_project: *inlist_main*"])


def test_a_value_of_the_wrong_kind(planned, tmp_path, monkeypatch):
    """A new setting is compared with MESA's defaults; a whole number fits an integer."""
    defaults = tmp_path / "mesa" / "star" / "defaults"
    defaults.mkdir(parents=True)
    (defaults / "star_job.defaults").write_text("relax_initial_z = .false.\n")
    (defaults / "controls.defaults").write_text("initial_mass = 1\nmax_model_number = -1\n")
    monkeypatch.setenv("MESA_DIR", str(tmp_path / "mesa"))
    said = planned("inlist_project", "star_job.relax_initial_z", [0.01])
    said.fnmatch_lines(["*relax_initial_z is a logical in this MESA, and 0.01 a number"])
    project = PROJECT.replace("= 3", "= 3\n max_model_number = 100")
    said = planned("inlist_project", "max_model_number", [1e3], inlist_project=project)
    assert re.search(r"^ +\+ max_model_number = 1000$", str(said), re.MULTILINE)


def test_a_user_s_own_group(planned):
    """A group that MESA does not read causes no false alarm; a missing &eos is added."""
    own = "&simplex_search_controls\n chi2 = 1\n/\n"
    said = planned("inlist_own", "chi2", [2.0], inlist_own=own)
    said.no_fnmatch_line("*does not read*")
    said = planned("inlist", "eos.use_Skye", [False])
    said.no_fnmatch_line("*does not read*")
    said.fnmatch_lines(["*+&eos", "*+   use_Skye = .false."])


RE = "#!/bin/bash\nphoto_directory=photos\ncp $photo_directory/$1 restart_photo && ./star\n"
TAKEN = "#!/bin/bash\n${REMEX_COMMAND:-./rn}\n"
STAGES = "do_one inlist_a a.mod\ndo_one inlist_b b.mod\n"
SHOTS = PROJECT.replace("= 3", "= 3\n photo_directory = 'shots'")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"re": RE, "run.sbatch": TAKEN}, ""),
        ({"run.sbatch": "#!/bin/sh\n./rn\n"}, ""),
        ({"re": RE, "run.sbatch": "#!/bin/sh\n./rn\n"}, "nothing * runs $REMEX_COMMAND: end its *"),
        (
            {"re": RE, "run.sbatch": TAKEN, "inlist_project": SHOTS},
            "`re` looks for photos in photos, not in shots: set its photo_directory*",
        ),
        ({"re": RE, "run.sbatch": TAKEN, "rn": STAGES}, "it has stages, *: add a script re_all*"),
        ({"re": RE, "run.sbatch": TAKEN, "rn": STAGES, "re_all": "#!/bin/bash\n"}, ""),
    ],
)
def test_what_keeps_a_run_from_going_on(planned, files, said):
    """It is reported once, before the first job, when the work directory can still be changed."""
    plan = planned("inlist_project", "initial_mass", [2.0, 3.0], **files)
    line = "a run that is ended early would start over: "
    if said:
        plan.fnmatch_lines([line + said])
        assert str(plan).count(line) == 1
    else:
        plan.no_fnmatch_line(line + "*")


def test_output_that_is_not_fetched_is_reported_once(planned):
    """Else nobody would know from the results why MESA stopped, and its exit code is 0."""
    script = "#!/bin/sh\n${REMEX_COMMAND:-./rn} > out.txt\n"
    plan = planned("inlist_project", "initial_mass", [2.0, 3.0], **{"run.sbatch": script})
    line = "MESA's output goes to out.txt, so the results do not say why a run ended: add 'out.txt'"
    assert str(plan).count(line) == 1
