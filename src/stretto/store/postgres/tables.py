"""The form of a store in PostgreSQL: the tables of a store file, in a schema of their own."""

from stretto.store.tables import VERSION

SCHEMA = "stretto"
CHANNEL = "stretto"
"""Where it is told which runs have new events, or are carried by nobody any more: a notification is `RUN[ SEQ]`."""

EVENTS = """
CREATE TABLE events (
    run         TEXT COLLATE "C" NOT NULL,
    seq         BIGINT NOT NULL,
    kind        TEXT NOT NULL,
    body        BYTEA NOT NULL,
    event_sum   BIGINT NOT NULL,
    fingerprint TEXT,
    record_sum  BIGINT,
    request     BYTEA,
    reply       BYTEA,
    rowid       BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    PRIMARY KEY (run, seq)
)
"""
# `rowid` is what SQLite has by itself: the order in which rows came.

REPLIES = "CREATE INDEX replies ON events (fingerprint, rowid) WHERE reply IS NOT NULL"

RUNS = """
CREATE TABLE runs (
    run              TEXT COLLATE "C" PRIMARY KEY,
    status           TEXT NOT NULL,
    events           BIGINT NOT NULL,
    started_at       TEXT COLLATE "C" NOT NULL,
    last_at          TEXT COLLATE "C" NOT NULL,
    task             TEXT NOT NULL,
    simulated        BIGINT NOT NULL,
    origin           TEXT,
    subtasks         BIGINT NOT NULL,
    done             BIGINT NOT NULL,
    missing          BIGINT NOT NULL,
    input_tokens     BIGINT NOT NULL,
    output_tokens    BIGINT NOT NULL,
    cached_tokens    BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    cost             TEXT,
    error            TEXT,
    error_type       TEXT,
    summary_sum      BIGINT NOT NULL,
    rowid            BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE
)
"""

IMPORTS = 'CREATE TABLE imports (run TEXT COLLATE "C" PRIMARY KEY)'

MODELS = """
CREATE TABLE models (
    endpoint  TEXT NOT NULL,
    model     TEXT NOT NULL,
    context   BIGINT,
    bytes     DOUBLE PRECISION,
    at        TEXT NOT NULL,
    model_sum BIGINT NOT NULL,
    PRIMARY KEY (endpoint, model)
)
"""

CARRIERS = 'CREATE TABLE carriers (run TEXT COLLATE "C" PRIMARY KEY, owner TEXT NOT NULL)'

PRESENCES = """
CREATE TABLE presences (
    name TEXT PRIMARY KEY,
    who  TEXT NOT NULL,
    beat TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
)
"""
# Who carries runs, and when they last said that they are at work; see `stretto.store.postgres.presence`.

QUEUED = 'CREATE TABLE queued (run TEXT COLLATE "C" PRIMARY KEY)'
# Runs that wait for a worker.

PROPOSALS = """
CREATE TABLE proposals (
    run      TEXT COLLATE "C" PRIMARY KEY,
    proposal BYTEA NOT NULL,
    decision BYTEA
)
"""
# Plans that wait for approval, whose runs nobody carries meanwhile; and what was decided, until somebody goes on.

ORDERS = """
CREATE TABLE orders (
    id      TEXT PRIMARY KEY,
    said    BYTEA NOT NULL,
    taken   BOOLEAN NOT NULL DEFAULT false,
    outcome TEXT
)
"""
# What whoever carries a run is to do about one of its subtasks; see `stretto.cluster.orders`.

IDEMPOTENCY = "CREATE TABLE idempotency (key TEXT PRIMARY KEY, digest TEXT NOT NULL, run TEXT NOT NULL)"

ASIDE = 'CREATE TABLE aside (run TEXT COLLATE "C" PRIMARY KEY, amount TEXT NOT NULL)'

FORM = "CREATE TABLE form (version BIGINT NOT NULL)"

TABLES = (
    EVENTS,
    REPLIES,
    RUNS,
    IMPORTS,
    MODELS,
    CARRIERS,
    PRESENCES,
    QUEUED,
    PROPOSALS,
    ORDERS,
    IDEMPOTENCY,
    ASIDE,
    FORM,
    f"INSERT INTO form VALUES ({VERSION})",  # noqa: S608 - our own number
)
