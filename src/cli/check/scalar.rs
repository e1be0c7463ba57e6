//! What a plain YAML scalar means to kubectl, which reads YAML 1.1: `yes`, `Off` and `0x1F` aren't text there.
//!
//! <https://github.com/yaml/go-yaml/blob/v2.4.2/resolve.go>

use serde_json::Number;

/// A scalar without quotes.
#[derive(Clone, Debug, PartialEq)]
pub enum Plain {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Anything else.
    Text,
}

/// What the text means where it stands without quotes.
pub fn resolve(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Plain::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => Plain::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => Plain::Bool(false),
        _ => number(text).map_or(Plain::Text, Plain::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    let digits = text.replace('_', "");
    if let Some(integer) = integer(&digits) {
        return Some(integer.into());
    }
    // Rust's parser takes words, too, such as inf.
    let unsigned = digits.trim_start_matches(['+', '-']);
    match unsigned {
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN" => Some(0.into()),
        _ if unsigned.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c)) => {
            digits.parse().ok().map(|float: f64| Number::from_f64(float).unwrap_or_else(|| 0.into()))
        }
        _ => None,
    }
}

fn integer(digits: &str) -> Option<i64> {
    let (sign, unsigned) = match digits.as_bytes().first()? {
        b'-' => (-1, &digits[1..]),
        b'+' => (1, &digits[1..]),
        _ => (1, digits),
    };
    let (radix, rest) = match unsigned.get(..2) {
        Some("0x" | "0X") => (16, &unsigned[2..]),
        Some("0b" | "0B") => (2, &unsigned[2..]),
        Some("0o" | "0O") => (8, &unsigned[2..]),
        _ if unsigned.len() > 1 && unsigned.starts_with('0') => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    // Rust's parser takes a second sign.
    if rest.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(rest, radix).ok().map(|integer| sign * integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_mean_what_they_mean_to_kubectl() {
        for null in ["", "~", "null", "NULL"] {
            assert_eq!(resolve(null), Plain::Null, "{null}");
        }
        for (text, value) in [("y", true), ("Yes", true), ("on", true), ("Off", false), ("N", false), ("false", false)]
        {
            assert_eq!(resolve(text), Plain::Bool(value), "{text}");
        }
        for (text, value) in
            [("0", 0), ("-12", -12), ("+7", 7), ("0x1F", 31), ("017", 15), ("0o17", 15), ("1_000", 1000)]
        {
            assert_eq!(resolve(text), Plain::Number(value.into()), "{text}");
        }
        for text in ["1.5", ".5", "1e3", "-1.5E-3", "08", ".inf", "-.INF", ".nan"] {
            assert!(matches!(resolve(text), Plain::Number(_)), "{text}");
        }
        for text in ["a", "yEs", "nope", "-", "+", ".", "1.2.3", "0xZ", "--1", "1-2", "gcr.io", "infinity", "1e", "-x"]
        {
            assert_eq!(resolve(text), Plain::Text, "{text}");
        }
    }
}
