"""What client and agent share. It is shipped with the agent: Python 3.6, standard library only."""
