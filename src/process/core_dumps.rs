//! What the process asks of the kernel before it holds a credential.

use rustix::{
    io,
    process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit},
};

/// No image of our memory is written anywhere: neither by a crash nor by another process of our user, which could
/// otherwise read `/proc/PID/mem`. The limit alone would do nothing where the kernel pipes core dumps to a program.
///
/// # Errors
/// Where the kernel refuses, which it has no reason to.
pub fn forbid_core_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}
