"""Runs handed to workers on other machines, which wait for them in an order."""

from stretto.cluster.door import Cluster as Cluster

__all__ = ["Cluster"]
