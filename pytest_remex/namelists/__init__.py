"""Fortran namelists: find, read and change groups and settings in a text; no I/O."""
