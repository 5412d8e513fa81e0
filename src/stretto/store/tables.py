"""The form of a store file: its tables, and what marks a file as ours."""

VERSION = 8
APPLICATION_ID = 0x53545254  # "STRT", so that `file` and we know our own

EVENTS = """
CREATE TABLE events (
    run         TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    body        BLOB NOT NULL,
    event_sum   INTEGER NOT NULL,
    fingerprint TEXT,
    record_sum  INTEGER,
    request     BLOB,
    reply       BLOB,
    PRIMARY KEY (run, seq)
)
"""
# What a call asked stands in the row of its `call_started`, what it was answered in that of its `call_finished`: so a
# reply and its event are one row, and a batch of events is one statement (see `stretto.store.writer`). Two checksums,
# so that a damaged reply costs that reply and not the run; both stand before what may be large, where reading them
# touches no further page.

REPLIES = "CREATE INDEX replies ON events (fingerprint) WHERE reply IS NOT NULL"

RUNS = """
CREATE TABLE runs (
    run              TEXT PRIMARY KEY,
    status           TEXT NOT NULL,
    events           INTEGER NOT NULL,
    started_at       TEXT NOT NULL,
    last_at          TEXT NOT NULL,
    task             TEXT NOT NULL,
    simulated        INTEGER NOT NULL,
    origin           TEXT,
    subtasks         INTEGER NOT NULL,
    done             INTEGER NOT NULL,
    missing          INTEGER NOT NULL,
    input_tokens     INTEGER NOT NULL,
    output_tokens    INTEGER NOT NULL,
    cached_tokens    INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    cost             TEXT,
    error            TEXT,
    error_type       TEXT,
    summary_sum      INTEGER NOT NULL
)
"""
# What the fold says of a run, for lists. Written with the events that begin and end an execution, in one transaction:
# so its log has at least so many `events`, or has lost some. Its rowids are the order in which runs came into the
# store; that of their ids is the clock's, which may be put back.

IMPORTS = "CREATE TABLE imports (run TEXT PRIMARY KEY) WITHOUT ROWID"
# Runs that came from a file: what their logs say of addresses and keys somebody else may have written.

MODELS = """
CREATE TABLE models (
    endpoint  TEXT NOT NULL,
    model     TEXT NOT NULL,
    context   INTEGER,
    bytes     REAL,
    at        TEXT NOT NULL,
    model_sum INTEGER NOT NULL,
    PRIMARY KEY (endpoint, model)
) WITHOUT ROWID
"""
# What was found out about models, so that it is asked once: the base URL without its query, which may hold a key.

CARRIERS = "CREATE TABLE carriers (run TEXT PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID"
# The process that carries a run, see `stretto.store.carriers`.

IDEMPOTENCY = """
CREATE TABLE idempotency (
    key    TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    run    TEXT NOT NULL
) WITHOUT ROWID
"""
# By the key that a client has given a request, the run that was begun for it: asked again, it is that run once more.

ASIDE = "CREATE TABLE aside (run TEXT PRIMARY KEY, amount TEXT NOT NULL) WITHOUT ROWID"
# What a run that is carried may cost, US dollars, where there is a budget of the day: see `stretto.store.daily`.

TABLES = (EVENTS, REPLIES, RUNS, IMPORTS, MODELS, CARRIERS, IDEMPOTENCY, ASIDE)
