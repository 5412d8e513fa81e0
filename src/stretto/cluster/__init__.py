"""Runs on many machines: handed over in a PostgreSQL store, carried by workers, each as a workflow of DBOS."""
