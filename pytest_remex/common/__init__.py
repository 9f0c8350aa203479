"""What client and agent share; shipped with the agent, so Python 3.6 and the standard library only."""
