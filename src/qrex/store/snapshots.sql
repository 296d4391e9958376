-- The index of a folder of snapshots; what is kept lies in blocks in the file beside it. Times are seconds since
-- 1970, UTC; digests are the first 16 bytes of SHA-256. What no row of `blocks` covers in that file is free.
CREATE TABLE IF NOT EXISTS folder (
    identity BLOB NOT NULL         -- stands in the block file's header too: the two belong together
);
CREATE TABLE IF NOT EXISTS names (
    name TEXT PRIMARY KEY,
    last_version INTEGER NOT NULL  -- never given out again, also where that version is deleted
);
CREATE TABLE IF NOT EXISTS blocks (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,   -- of the content: equal blocks are kept once
    position INTEGER NOT NULL,     -- in the block file, in bytes
    bytes INTEGER NOT NULL,
    crc INTEGER NOT NULL           -- CRC-32C of the content, verified whenever it is read
);
CREATE TABLE IF NOT EXISTS records (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given out again: a reader sees that its record was deleted
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,            -- 'state', 'array' or 'text'
    created_at REAL NOT NULL,
    metadata TEXT NOT NULL,        -- JSON, the user's
    form TEXT NOT NULL,            -- JSON: what is needed to read it, and its figures
    new_bytes INTEGER NOT NULL,    -- of blocks that nothing else used when it was saved
    content TEXT NOT NULL,         -- digest of its blocks' digests, hexadecimal
    root BLOB NOT NULL,            -- digest of the columns from `name` to `content`
    blocks BLOB NOT NULL,          -- ids as little-endian int64, in order; 0: all zeros, not kept
    UNIQUE (name, version)
);
