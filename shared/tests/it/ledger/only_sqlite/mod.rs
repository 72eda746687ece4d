//! What is about SQLite's own ways.

mod attacks;
mod disk;
mod writer;
