-- Forms of the console's playground that were sent: the key lets each make one call. A form's id is made when it is rendered, in the order
-- of time, and when it is a day old the form is not taken any more; its row is removed then.
CREATE TABLE sent_forms (
    form       BLOB   NOT NULL PRIMARY KEY CHECK (length(form) = 16),
    -- The key of the session that sent it, which says whose it is.
    key_id     TEXT   NOT NULL REFERENCES keys (id),
    -- The call that it made, or should have.
    request_id BLOB   NOT NULL CHECK (length(request_id) = 16),
    created_at BIGINT NOT NULL
);
