-- works with: 3
-- Accounts and keys that are changed while the server runs. A key is kept as its SHA-256 digest, in hex.
CREATE TABLE musicgate.accounts (
    name text COLLATE "C" NOT NULL,
    created_at_us bigint NOT NULL,
    disabled_at_us bigint,
    doc text NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE musicgate.api_keys (
    id text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    name text NOT NULL,
    digest text NOT NULL,
    is_admin boolean NOT NULL,
    created_at_us bigint NOT NULL,
    expires_at_us bigint,
    revoked_at_us bigint,
    replaced_by text,
    used_at_us bigint,
    PRIMARY KEY (id)
) WITH (fillfactor = 50);

-- One row: how often the two above were changed. Who changes them locks it.
CREATE TABLE musicgate.keyring (
    version bigint NOT NULL
) WITH (fillfactor = 50);

INSERT INTO musicgate.keyring VALUES (0);
