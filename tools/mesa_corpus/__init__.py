"""Check the inlist reader and patcher on a folder of inlists, against f90nml and gfortran."""
