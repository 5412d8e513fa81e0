"""A store in PostgreSQL, for runs that many machines carry (extra `cluster`)."""
