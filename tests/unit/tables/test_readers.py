"""The readers of plain files, one test a kind."""

import gzip
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from pytest_remex.errors import RemexError
from pytest_remex.tables.readers import read


def test_csv(tmp_path):
    """A CSV is read as a DataFrame, floats exact."""
    path = tmp_path / "table.CSV"
    path.write_text("x,name\n0.1,a\n1e-300,b\n0.30000000000000004,\n")
    table = read(path)
    assert list(table.x) == [0.1, 1e-300, 0.1 + 0.2]
    assert table.name[0] == "a"


def test_csv_options(tmp_path):
    """Options are those of pandas; `columns` is as for Parquet; no other file takes any."""
    path = tmp_path / "table.csv"
    path.write_text("x;name\n0.5;a\n")
    assert list(read(path, {"sep": ";", "columns": ["name"]})) == ["name"]
    with pytest.raises(RemexError, match=r"table\.csv: .*no_such.*; see .*pandas.read_csv"):
        read(path, {"no_such": 1})
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(RemexError, match=r"a\.json is read without options: remove sep, x from"):
        read(tmp_path / "a.json", {"sep": ";", "x": 1})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("a.json", '\ufeff{"a": [1, null, 2.5]}', {"a": [1, None, 2.5]}),
        ("a.toml", "[a]\nb = 1979-05-27\nc = 1e3\n", 1000.0),
        ("a.yaml", "a: [1, false]\n", {"a": [1, False]}),
        ("a.yml", "- 1\n- x\n", [1, "x"]),
        ("slurm.out", "step 1\nstep 2\n", "step 1\nstep 2\n"),
        ("notes.log", "", ""),
    ],
)
def test_documents(tmp_path, name, text, value):
    """JSON, TOML, YAML and text are read as what they hold."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    found = read(path)
    assert (found["a"]["c"] if name == "a.toml" else found) == value


def test_log_of_any_bytes(tmp_path):
    """A log that is not UTF-8 is read all the same."""
    path = tmp_path / "slurm-12.out"
    path.write_bytes(b"caf\xe9 \x00\n")
    assert read(path) == "caf\ufffd \x00\n"


@pytest.mark.parametrize("name", ["a.png", "a.JPG", "a.svg", "a.pdf"])
def test_pictures(tmp_path, name):
    """A picture stays a path."""
    assert read(tmp_path / name) == tmp_path / name


@pytest.mark.parametrize("name", ["history.data", "inlist_project", "a.npq", ".csv", "a.data.gz"])
def test_unknown(tmp_path, name):
    """A kind that is not known is left to others."""
    assert read(tmp_path / name) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", "{"),
        ("a.toml", "= 1"),
        ("a.yaml", "a: ["),
        ("a.yaml", "!!python/object/apply:os.system [ls]"),
        ("a.csv", ""),
        ("a.csv", "a,b\n1,2\n1,2,3\n"),
        ("a.npy", "no array"),
        ("a.npz", "no arrays"),
        ("a.nc", "no netCDF"),
        ("a.h5", "no HDF5"),
        ("a.txt.gz", "not packed"),
        ("a.npy", ""),
        ("a.json", "[" * 100_000),
        ("a.toml", f"a = {'[' * 10_000}"),
    ],
)
def test_damaged(tmp_path, name, text):
    """A file that is not of its kind is refused by name, and no YAML runs anything."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(RemexError, match=rf"{name}:? (it )?cannot be read as"):
        read(path)


@pytest.mark.parametrize("end", [b"", bytes(range(200))])
@pytest.mark.parametrize("name", ["a.npz", "a.csv.gz", "a.txt.gz"])
def test_cut_off(tmp_path, name, end):
    """A packed file that a killed job left half-written, or that is damaged, is refused by name."""
    path = tmp_path / name
    packed = gzip.compress(b"a,b\n1,2\n" * 999)
    if name == "a.npz":
        np.savez_compressed(path, x=np.arange(9999.0))
        packed = path.read_bytes()
    path.write_bytes(packed[: len(packed) // 2] + end)
    with pytest.raises(RemexError, match=rf"{name} cannot be read as"):
        read(path)


def test_arrays(tmp_path):
    """NumPy's files are arrays, netCDF a Dataset, and HDF5 an open file."""
    np.save(tmp_path / "a.npy", [1.5, 2.5])
    np.savez(tmp_path / "a.npz", x=[1, 2], y=[3])
    assert list(read(tmp_path / "a.npy")) == [1.5, 2.5]
    arrays = read(tmp_path / "a.npz")
    assert {name: list(array) for name, array in arrays.items()} == {"x": [1, 2], "y": [3]}
    xr.Dataset({"t": ("x", [1.0, 2.0])}).to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    assert list(read(tmp_path / "a.nc").t.values) == [1.0, 2.0]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/x"] = [1, 2, 3]
    with read(tmp_path / "a.h5") as file:
        assert list(file["group/x"]) == [1, 2, 3]


def test_parquet(tmp_path):
    """A Parquet file is read as a DataFrame, or some of its columns; damage is reported."""
    path = tmp_path / "a.parquet"
    pd.DataFrame({"t": [1.0, 2.0], "x": ["a", "b"]}).to_parquet(path)
    assert list(read(path).x) == ["a", "b"]
    assert list(read(path, {"columns": ["t"]})) == ["t"]
    with pytest.raises(RemexError, match=r"a\.parquet: .*pandas.read_parquet"):
        read(path, {"no_such_option": 1})
    path.write_text("not Parquet")
    with pytest.raises(RemexError, match=r"cannot be read as \.parquet"):
        read(path)


def test_pickled_objects_are_refused(tmp_path):
    """An array of objects would run code when it is read, and is refused."""
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(RemexError, match=r"a\.npy cannot be read"):
        read(tmp_path / "a.npy")


def test_packed(tmp_path):
    """Gzipped text and tables are read as those that are not."""
    (tmp_path / "run.log.gz").write_bytes(gzip.compress(b"step 1\n"))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"x\n1\n2\n"))
    assert read(tmp_path / "run.log.gz") == "step 1\n"
    assert list(read(tmp_path / "a.csv.gz").x) == [1, 2]


def test_absent(tmp_path):
    """A file that is not there is refused by name."""
    with pytest.raises(RemexError, match=r"a\.json cannot be read"):
        read(tmp_path / "a.json")


def test_light():
    """Importing the readers does not load pandas or ruamel.yaml."""
    code = (
        "import sys, pytest_remex.tables.readers;"
        "heavy = {'pandas', 'ruamel', 'tomlkit', 'json5', 'numpy', 'h5py', 'pyarrow'};"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
