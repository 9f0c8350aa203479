"""Connections to where runs happen: this machine, or a cluster over ssh."""
