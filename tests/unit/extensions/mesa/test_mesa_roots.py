"""Which inlists MESA starts from, and what a plan says of settings that it never reads."""

from __future__ import annotations

import pytest

from pytest_remex.errors import NamelistError
from pytest_remex.experiment import Experiment
from pytest_remex.extensions.mesa import InlistWarning, effective_config, patch_inlist
from pytest_remex.extensions.mesa.inspection import inspect
from pytest_remex.extensions.mesa.known_controls import KnownControls
from pytest_remex.extensions.mesa.roots import config_of, named_files
from pytest_remex.model import Sweep


def reads(group, name):
    """Return the settings with which a group reads another file."""
    return f" read_extra_{group}_inlist(1) = .true.\n extra_{group}_inlist_name(1) = '{name}'\n"


def group(name, text="", child=None):
    return f"&{name}\n{text}{reads(name, child) if child else ''}/\n"


BINARY = {
    "inlist": group("binary_job", child="inlist_project") + group("binary_controls"),
    "inlist_project": group(
        "binary_job", " inlist_names(1) = 'first'\n inlist_names(2) = 'second'\n"
    ),
    "first": group("controls", " alpha = 1.8\n z = 1\n", "both"),
    "second": group("controls", " alpha = 2.0\n y = 2\n", "both"),
    "both": group("controls", " z = 3\n"),
}
STAGES = {
    "inlist": group("controls", " mass = 99\n"),
    "head_a": group("controls", child="inlist_a"),
    "head_b": group("controls", child="inlist_b"),
    "inlist_a": group("controls", " mass = 1\n"),
    "inlist_b": group("controls", " y = 2\n"),
    "run.sbatch": "${REMEX_COMMAND:-./rn}\n",
}
COPIES = [
    "do_one head_a a.mod LOGS_a\ndo_one head_b b.mod\n",
    "cp head_a inlist; ./star\ncp ./head_b inlist && ./star\n",
    "ln -sf head_a inlist\n./star\nmv 'head_b' inlist # then\n./star\n",
    "do_one() {\n  cp $1 inlist\n  ./star\n}\ndo_one head_a\ndo_one head_b\n",
]


@pytest.fixture
def work(tmp_path):
    """Return a function that writes files into a work directory, and returns it."""

    def write(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return write


@pytest.fixture
def said(work):
    """Patch files of a work directory, and return the warnings of a plan."""

    def plan(files, patches, config_file=None, controls=None):
        folder = work(files)
        originals = {}
        for name, settings in patches.items():
            originals[name] = (folder / name).read_bytes()
            patch_inlist(folder / name, settings)
        sweep = Sweep("tams", config_files=tuple(named_files(config_file)))
        experiment = Experiment(sweep, "id", {}, {}, folder)
        return inspect(experiment, controls, originals)

    return plan


def test_a_patched_setting_that_is_overridden_is_told(said):
    """A patched value in an inlist that a later one overrides with another has no effect."""
    files = {
        "inlist": group("controls", " mass = 1\n y = 0\n z = 1\n", "a"),
        "a": group("controls", " mass = 3.5\n z = 2\n"),
    }
    assert said(files, {"inlist": {"mass": 12, "y": 1, "z": 2}}) == [
        "controls.mass = 12 in inlist line 2 is overridden by 3.5 in a line 2"
    ]


def test_the_stars_of_a_binary_are_followed(work):
    """Each star has its own groups; a plain name is found if both agree."""
    config = effective_config(work(BINARY) / "inlist")
    assert config["first:controls.alpha"] == 1.8
    assert config["second:controls.alpha"] == 2.0
    assert "alpha" not in config
    assert config["z"] == config["controls.z"] == 3
    assert config["y"] == 2
    assert config.origin("first:controls.z").path.name == "both"
    assert {name: config[name] for name in config}["first:controls.alpha"] == 1.8


def test_a_missing_star_is_an_error(work):
    """A file that `inlist_names` names must exist."""
    folder = work(BINARY)
    (folder / "second").unlink()
    with pytest.raises(NamelistError, match="inlist reads &binary_job from 'second', which is not"):
        effective_config(folder / "inlist")


def test_a_star_s_override_is_told(said):
    """The patched value is in a star's inlist, and overridden by a file that this reads."""
    assert (
        said(BINARY, {"inlist_project": {"binary_job.w": 1}}, ["first", "second", "inlist_project"])
        == []
    )
    assert said(BINARY, {"inlist_project": {"binary_job.x": 1}}) == []
    named = {**BINARY, "inlist": BINARY["inlist"], "inlist_first": BINARY["first"]}
    named["inlist_project"] = named["inlist_project"].replace("first", "inlist_first")
    assert said(named, {"inlist_first": {"z": 7}}) == [
        "inlist_first:controls.z = 7 in inlist_first line 3 is overridden by 3 in both line 2"
    ]


def test_a_named_config_file_wins_over_inlist(work):
    """A file that no chain reads is a root too; several are combined."""
    folder = work(
        {"inlist": group("controls", " mass = 1\n"), "inlist_x": group("controls", " mass = 2\n")}
    )
    assert config_of(folder, None)["mass"] == 1
    assert config_of(folder, "inlist_x")["mass"] == 2
    (folder / "inlist_y").write_text(group("kap", " zbase = 3\n"))
    both = config_of(folder, ["inlist_x", "inlist_y"])
    assert (both["mass"], both["zbase"]) == (2, 3)
    assert config_of(folder, ["gone", "inlist_x"])["mass"] == 2


def test_a_named_star_or_stage_goes_before_the_others(work):
    """A plain name means the file's own setting if another star or stage has another value."""
    folder = work(BINARY)
    assert "alpha" not in config_of(folder, "inlist")
    config = config_of(folder, "second")
    assert (config["alpha"], config["z"], config["first:controls.alpha"]) == (2, 3, 1.8)
    stages = work({**STAGES, "inlist_b": group("controls", " mass = 7\n"), "rn": COPIES[0]})
    assert config_of(stages, "head_b")["mass"] == 7
    assert config_of(stages, "head_a")["mass"] == 1


def test_a_named_file_of_the_chain_is_read_with_all_that_overrides_it(work):
    """If `inlist` leads to the named file, what MESA takes counts."""
    late = " read_extra_controls_inlist(2) = T\n extra_controls_inlist_name(2) = 'inlist_late'\n"
    folder = work(
        {
            "inlist": group("controls", late, "inlist_project"),
            "inlist_project": group("controls", " mass = 2\n"),
            "inlist_late": group("controls", " mass = 3\n"),
        }
    )
    assert config_of(folder, "inlist_project")["mass"] == 3


@pytest.mark.parametrize(
    "script",
    [
        "export MESA_INLIST=inlist_x\n./rn\n",
        "MESA_INLIST=$PWD/inlist_x ./rn\n",
        'export MESA_INLIST="$(pwd)/inlist_x"\n',
        "export MESA_INLIST=${SLURM_SUBMIT_DIR}/inlist_x\n",
        "export MESA_INLIST='./inlist_x' # not inlist\n",
    ],
)
def test_mesa_inlist_is_the_root(work, said, script):
    """`MESA_INLIST` in run.sbatch names the file that MESA starts from."""
    files = {
        "inlist": group("controls", " mass = 1\n"),
        "inlist_x": group("controls", " mass = 2\n"),
        "run.sbatch": script,
    }
    assert config_of(work(files), None)["mass"] == 2
    assert said(files, {"inlist_x": {"mass": 4}}) == []
    (warning,) = said(files, {"inlist": {"mass": 5}})
    assert warning.startswith("MESA ignores mass in &controls of inlist: no inlist that inlist_x")


@pytest.mark.parametrize(
    "script",
    [
        "export MESA_INLIST=$MESA_BASE/inlist\n./rn\n",
        "export MESA_INLIST=inlist_made_later\n./rn\n",
        "do_one head_made_later a.mod\n",
        "for f in inlists/inlist_*; do ln -sf $f inlist_project; ./rn; done\n",
        "cp inlists/inlist_x inlist_project\n./rn\n",
    ],
)
def test_what_a_script_does_elsewhere_is_not_guessed(said, script):
    """If a root is missing, or a script copies a file, nothing is reported as ignored."""
    files = {
        "inlist": group("controls", child="inlist_project"),
        "inlist_project": group("controls", " mass = 2\n"),
        "inlists/inlist_x": group("controls", " mass = 2\n"),
        "run.sbatch": script,
    }
    assert said(files, {"inlists/inlist_x": {"mass": 4}}) == []


def test_an_inlist_on_the_command_line_is_the_root(work):
    """`./star inlist_x` starts from there."""
    files = {
        "inlist": group("controls", " mass = 1\n"),
        "inlist_x": group("controls", " mass = 2\n"),
        "run.sbatch": "./star inlist_x > out.txt\n",
    }
    assert config_of(work(files), None)["mass"] == 2


@pytest.mark.parametrize("script", COPIES)
def test_stages_are_judged_by_their_own_header(work, said, script):
    """Each stage's header takes the place of `inlist`, which is then not read."""
    files = {**STAGES, "rn": script}
    config = config_of(work(files), None)
    assert (config["mass"], config["y"]) == (1, 2)
    assert config["head_a:controls.mass"] == 1
    assert said(files, {"inlist_a": {"mass": 3}, "inlist_b": {"y": 5}}) == []
    (warning,) = said(files, {"inlist": {"mass": 5}})
    assert "no inlist that head_a or head_b reads names that file" in warning


def test_stages_that_a_variable_names_are_not_guessed(work, said):
    """Nothing is reported as ignored if the script's inlists are not known."""
    files = {**STAGES, "rn": "for i in a b; do\n cp head_$i inlist\n ./star\ndone\n"}
    assert config_of(work(files), None) is None
    assert config_of(work(files), "inlist_a")["mass"] == 1
    assert said(files, {"inlist_a": {"mass": 3}}) == []


def test_a_group_that_the_chain_does_not_read_is_told(said):
    """&kap is in a file from which only &star_job and &controls are read."""
    files = {
        "inlist": group("star_job", child="inlist_p") + group("controls", child="inlist_p"),
        "inlist_p": group("star_job")
        + group("kap", " zbase = 1\n")
        + group("controls", " a = 1\n"),
    }
    for config_file in (None, "inlist_p"):
        (warning,) = said(files, {"inlist_p": {"zbase": 2, "a": 5, "kap.new": 3}}, config_file)
        assert warning == (
            "MESA ignores zbase, new in &kap of inlist_p: "
            "inlist reads only &star_job and &controls from it: "
            "add read_extra_kap_inlist(1) = .true. and extra_kap_inlist_name(1) = 'inlist_p' "
            "to &kap of inlist"
        )


def test_a_file_without_a_required_group_is_told(said):
    """MESA stops if an inlist that it reads lacks &controls; without &kap it goes on."""
    files = {
        "inlist": "".join(group(name, child="more") for name in ("star_job", "kap", "controls")),
        "more": group("star_job"),
    }
    (warning,) = said(files, {"inlist": {"controls.mass": 2}})
    assert warning == (
        "MESA stops at its start: it reads &controls from more, which has none: "
        "add a line with &controls and one with / to that file"
    )
    assert said({"rn": "cp inlist_a more\n./star\n"}, {"inlist": {"controls.mass": 3}}) == []
    files = {"rn": "./star\n", "more": group("star_job") + group("controls")}
    assert said(files, {"more": {"controls.a": 2}}) == []


def test_values_that_are_not_read_may_be_wrong(said):
    """A value that cannot be read, in a group that MESA does not read, hides no warning."""
    files = {
        "inlist": group("controls", child="inlist_p"),
        "inlist_p": group("controls", " a = 1\n")
        + group("kap", " zbase = 99999999*1\n zbase = 2\n")
        + group("mine", " b = 99999999*1\n"),
    }
    (warning,) = said(files, {"inlist_p": {"a": 2}})
    assert warning.startswith("MESA ignores zbase in &kap of inlist_p: ")


def test_the_fix_that_is_told_works(said):
    """With the lines that the message suggests, there is no warning any more."""
    files = {
        "inlist": group("controls") + group("kap", child="inlist_p"),
        "inlist_p": group("kap", " zbase = 1\n"),
    }
    assert said(files, {"inlist_p": {"zbase": 2}}) == []


def test_a_file_outside_the_chain_is_told_and_a_user_s_group_is_not(said):
    """Groups that run_star_extras reads are the user's own, and so are astero's files."""
    files = {
        "inlist": group("controls"),
        "inlist_x": group("controls", " a = 1\n") + group("simplex_search_controls", " b = 1\n"),
        "inlist_astero_search_controls": group("astero_search_controls", " c = 1\n"),
    }
    patches = {"inlist_x": {"a": 2, "b": 3}, "inlist_astero_search_controls": {"c": 4}}
    (warning,) = said(files, patches)
    assert "MESA ignores a in &controls of inlist_x: no inlist that inlist" in warning


def test_a_work_directory_below_the_repository_has_its_own_root(said):
    """The nearest folder with `inlist` is where MESA runs."""
    files = {
        "star/inlist": group("controls", child="inlist_p"),
        "star/inlist_p": group("controls", " a = 1\n"),
        "star/inlist_q": group("controls", " a = 1\n"),
    }
    (warning,) = said(files, {"star/inlist_p": {"a": 2}, "star/inlist_q": {"a": 2}})
    assert "&controls of inlist_q" in warning


def test_a_value_of_another_kind_than_the_default_is_told(said):
    """A new setting has nothing in the file to compare with, so MESA's defaults decide."""
    known = KnownControls(
        {"controls": frozenset({"flag", "n", "name"})},
        {("controls", "flag"): "logical", ("controls", "n"): "number"},
    )
    files = {"inlist": group("controls", " n = <<n>>\n name = 3\n")}
    assert said(files, {"inlist": {"controls.flag": 0.01}}, controls=known) == [
        "inlist line 4: flag is a logical in this MESA, and 0.01 a number"
    ]


def test_what_fortran_cannot_read_is_told(said):
    """A number that no Fortran reads stops MESA, and so does a last line without its end."""
    files = {
        "inlist": group("controls", " a = 1\n", child="inlist_p"),
        "inlist_p": group("controls", " x = 1.5_dp\n y = <<y>>\n z = 1.5d0\n").rstrip("\n"),
    }
    assert said(files, {"inlist": {"a": 2}}) == [
        "inlist_p: no line break after the end of &controls, but gfortran needs one: add it",
        (
            "MESA stops at its start: inlist_p line 2: x = 1.5_dp is not a number that Fortran "
            "reads: correct it"
        ),
    ]


def test_a_group_with_a_missing_file_is_left_out(work):
    """The other groups are read; that group is left out."""
    folder = work({"inlist": group("controls", " a = 1\n") + group("pgstar", child="gone")})
    with pytest.warns(InlistWarning, match="not be read back: inlist reads &pgstar from 'gone'"):
        assert dict(config_of(folder, None)) == {"a": 1}
