-- The store of kept results. Payloads are JSON; times are seconds since 1970, UTC.
CREATE TABLE IF NOT EXISTS units (
    key TEXT PRIMARY KEY,          -- hash of everything that determines the result
    kind TEXT NOT NULL,            -- e.g. 'simulate', 'qpu', 'links'
    payload TEXT NOT NULL,
    session TEXT NOT NULL,         -- the process that computed it: makespans are summed per session
    created_at REAL NOT NULL
);
-- Stores of the first release hold a table `predictions` with fewer columns; nothing reads it any more.
CREATE TABLE IF NOT EXISTS cost_predictions (
    key TEXT PRIMARY KEY,          -- the unit that was predicted
    engine TEXT NOT NULL,
    circuit_id TEXT NOT NULL,
    predicted_seconds REAL,        -- what was said before the run
    predicted_bytes INTEGER,
    actual_seconds REAL NOT NULL,  -- from the parent to a worker and back
    actual_bytes INTEGER,
    model_seconds REAL,            -- what the engine's model said of its own part, before any correction; NULL where
    model_bytes INTEGER,           -- nothing can be learned, as after a race
    engine_seconds REAL,           -- what that part took
    engine_bytes INTEGER,
    upper_bound INTEGER NOT NULL,  -- 1: a bound, which the run may stay far below
    features TEXT NOT NULL,        -- JSON object of numbers: rows, active_qubits, shots, threads
    host TEXT NOT NULL,            -- the probe's hash of it
    scope TEXT NOT NULL,           -- versions and date of the constants that the model used
    created_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS cost_predictions_by_host ON cost_predictions (host, created_at);
CREATE TABLE IF NOT EXISTS circuit_names (
    circuit_id TEXT PRIMARY KEY,
    name TEXT NOT NULL             -- what it was called last: ids are of content, files are renamed
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
