"""The results on disk and as a DataFrame, the links to outputs, and readers of files."""
