-- The store of kept results. Payloads are JSON; times are seconds since 1970, UTC.
CREATE TABLE IF NOT EXISTS units (
    key TEXT PRIMARY KEY,          -- hash of everything that determines the result
    kind TEXT NOT NULL,            -- e.g. 'simulate', 'qpu', 'links'
    payload TEXT NOT NULL,
    session TEXT NOT NULL,         -- the process that computed it: makespans are summed per session
    created_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS predictions (
    key TEXT PRIMARY KEY,          -- the unit that was predicted
    engine TEXT NOT NULL,
    circuit_id TEXT NOT NULL,
    predicted_seconds REAL,
    predicted_bytes INTEGER,
    actual_seconds REAL NOT NULL,
    actual_bytes INTEGER,
    created_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS calibrations (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,            -- 'host' or 'costs'
    scope TEXT NOT NULL,           -- what it holds for: host, versions, settings
    payload TEXT NOT NULL,
    created_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS calibrations_by_scope ON calibrations (kind, scope, created_at);
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY,           -- hash of the command's meaning
    verb TEXT NOT NULL,
    title TEXT NOT NULL,
    arguments TEXT NOT NULL,
    status TEXT NOT NULL,          -- 'running', 'done', 'failed', 'interrupted'
    result TEXT,
    started_at REAL NOT NULL,
    finished_at REAL
);
