"""Code that client and agent share. Sent with the agent: Python 3.6, standard library only."""
