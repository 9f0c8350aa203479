"""Fortran namelists: their groups and settings as places in a text, read and changed; no I/O."""
