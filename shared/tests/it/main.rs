//! The integration tests of the domain, in one binary.

mod calls;
