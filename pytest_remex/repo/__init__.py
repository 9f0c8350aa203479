"""The user's repository: git, the scratch checkout, and the commits of experiments."""
