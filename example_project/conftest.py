"""Where the runs happen: on this machine, as long as nothing below says otherwise.

For a cluster, override the `remote` fixture here in four lines: import `pytest` and
`pytest_remex`, decorate a function `remote` with `@pytest.fixture(scope="session")`, and return
`pytest_remex.Remote("user@machine", "path/to/clone", "path/to/runs")`; both paths are the
cluster's. The README shows them. The ini keys `remex_host`, `remex_clone` and `remex_runs` in
pyproject.toml or pytest.ini do the same.
"""
