"""Readers of arrays and compressed text; each library is imported when it is first needed."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from pytest_remex.errors import RemexError


def read_numpy(path: Path) -> object:
    """Read a .npy as an array, or a .npz as arrays by name; pickled objects are refused."""
    import numpy as np  # noqa: PLC0415 - takes a tenth of a second to load

    found = np.load(path, allow_pickle=False)
    if isinstance(found, np.lib.npyio.NpzFile):
        with found:
            return dict(found)
    return found


def read_netcdf(path: Path) -> object:
    """Read a whole netCDF file as an xarray Dataset."""
    try:
        import h5netcdf  # noqa: F401, PLC0415 - an extra, xarray's engine
        import xarray as xr  # noqa: PLC0415 - an extra
    except ImportError:
        raise RemexError(f"{path} is netCDF: pip install 'pytest-remex[netcdf]'") from None
    return xr.load_dataset(path)


def read_hdf5(path: Path) -> object:
    """Open an HDF5 file for reading; its data are read on access."""
    try:
        import h5py  # noqa: PLC0415 - an extra
    except ImportError:
        raise RemexError(f"{path} is HDF5: pip install 'pytest-remex[hdf5]'") from None
    return h5py.File(path, "r")


def read_packed_text(path: Path) -> object:
    """Return the text of a gzipped file."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
            return file.read()
    except (EOFError, zlib.error) as error:
        raise ValueError(error) from error
