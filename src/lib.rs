//! deltalink.
