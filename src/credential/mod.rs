//! PURE: a source's bytes → a pull secret. No client, no clock, no async.
