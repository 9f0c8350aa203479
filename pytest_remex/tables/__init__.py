"""Results on disk and as a DataFrame, links to outputs, and readers of files."""
