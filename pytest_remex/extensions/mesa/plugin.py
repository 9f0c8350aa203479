"""MESA's part in pytest-remex: hooks that translate and forward, and load what they need then."""
