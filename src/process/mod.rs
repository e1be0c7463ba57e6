//! What a well-behaved process needs, whatever it is for: an HTTP server, metrics and logs; no core dumps; and text, maps
//! and JSON that stay small, or leave no copy of a secret behind.

mod core_dumps;
pub mod json;
pub mod metrics;
pub mod server;
mod small_map;
pub mod telemetry;
mod text;

pub use core_dumps::forbid_core_dumps;
pub use small_map::SmallMap;
pub use text::Text;
