//! A worker: one thread, its runtime, and the sockets placed on it.
