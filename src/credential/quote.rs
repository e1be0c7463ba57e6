//! Whether somebody's text quotes a credential: an admission webhook may repeat what it refuses.

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::PullSecret;

/// How much of a credential in a row counts as a quotation, in bytes. Shorter runs tell nobody a key.
const WINDOW: usize = 20;

/// Whether `text` has [`WINDOW`] bytes in a row of what `secret` applies, as base64 or in clear.
pub fn is_quoted_in(secret: &PullSecret, text: &str) -> bool {
    let encoded = secret.expose_encoded().as_bytes();
    // Not valid base64 can't happen; then there is nothing in clear to look for.
    let clear = Zeroizing::new(STANDARD.decode(encoded).unwrap_or_default());
    let quoted = |window: &[u8]| contains(encoded, window) || contains(&clear, window);
    text.as_bytes().windows(WINDOW).any(quoted)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
