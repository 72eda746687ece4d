-- The people who operate the service. An account is never removed: the audit log names it.
CREATE TABLE staff (
    id           BIGINT NOT NULL PRIMARY KEY,
    -- In lower case.
    email        TEXT   NOT NULL UNIQUE CHECK (length(email) BETWEEN 3 AND 254),
    role         TEXT   NOT NULL CHECK (role IN ('owner', 'billing', 'support', 'auditor')),
    -- The Argon2id hash; NULL until the invitation was accepted.
    password     TEXT,
    language     TEXT   NOT NULL CHECK (language IN ('en', 'zh', 'auto')),
    theme        TEXT   NOT NULL CHECK (theme IN ('light', 'dark', 'auto')),
    -- What the codes of the second step are made of, sealed under XIAOYI_SECRET_KEY. It counts from the moment when it was confirmed.
    totp_secret  BLOB,
    totp_on_at   BIGINT,
    -- The last 30 seconds of which a code was used. Those before it are over as well.
    totp_step    BIGINT,
    disabled_at  BIGINT,
    created_at   BIGINT NOT NULL,
    CHECK (totp_on_at IS NULL OR totp_secret IS NOT NULL)
);

-- What replaces a code when the device that makes them is lost. Each is removed when it is used; only BLAKE3 hashes are kept.
CREATE TABLE staff_recovery_codes (
    staff BIGINT NOT NULL REFERENCES staff (id),
    hash  BLOB   NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (staff, hash)
);

-- Who is signed in. The BLAKE3 hash of the token in the browser is the key.
CREATE TABLE staff_sessions (
    hash        BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    staff       BIGINT  NOT NULL REFERENCES staff (id),
    -- The password was right; a code is to follow, and before that the session opens nothing.
    needs_code  BOOLEAN NOT NULL,
    wrong_codes BIGINT  NOT NULL,
    address     TEXT,
    created_at  BIGINT  NOT NULL,
    seen_at     BIGINT  NOT NULL
);
CREATE INDEX staff_sessions_staff ON staff_sessions (staff);

-- Links by which an account is taken into use, by the BLAKE3 hash of their token. The key allows one a person, and one (0) for the first
-- owner of an installation, who has no account yet.
CREATE TABLE staff_invitations (
    place      BIGINT NOT NULL PRIMARY KEY,
    staff      BIGINT REFERENCES staff (id),
    hash       BLOB   NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    CHECK (place = COALESCE(staff, 0))
);
