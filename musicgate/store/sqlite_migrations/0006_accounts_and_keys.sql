-- Accounts and keys that are changed while the server runs. A key is kept as its SHA-256 digest, in hex.
CREATE TABLE accounts (
    name TEXT NOT NULL,
    created_at_us INTEGER NOT NULL,
    disabled_at_us INTEGER,
    doc TEXT NOT NULL,
    PRIMARY KEY (name)
) WITHOUT ROWID;

CREATE TABLE api_keys (
    id TEXT NOT NULL,
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    is_admin INTEGER NOT NULL,
    created_at_us INTEGER NOT NULL,
    expires_at_us INTEGER,
    revoked_at_us INTEGER,
    replaced_by TEXT,
    used_at_us INTEGER,
    PRIMARY KEY (id)
) WITHOUT ROWID;

-- One row: how often the two above were changed.
CREATE TABLE keyring (
    version INTEGER NOT NULL
);

INSERT INTO keyring VALUES (0);
