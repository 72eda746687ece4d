//! What tests and trials stand on: real servers on free ports in temporary folders.
