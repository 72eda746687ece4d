//! What is about PostgreSQL's own ways.
