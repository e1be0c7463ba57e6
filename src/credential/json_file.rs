//! Tells from a file's bytes whether it can be a JSON object, and what people store by mistake in its place.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

/// More layers of base64 than anybody wraps by accident.
const MAX_LAYERS: usize = 4;

/// Why a file can't be a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// No bytes, or white space only.
    Empty,
    /// It begins with a UTF-8 byte order mark.
    Utf8Bom,
    /// UTF-16, as some shells on Windows write.
    Utf16,
    /// DER, as in a P12 file.
    Binary,
    /// Some other encoding.
    NotUtf8 {
        /// How many bytes are valid.
        offset: usize,
    },
    /// Base64 of a JSON object.
    Base64TooOften,
    /// A PEM file.
    Pem,
    /// Some other text or JSON value.
    NotAnObject,
}

/// The text of a file that begins as a JSON object does.
pub(super) fn object_text(bytes: &[u8]) -> Result<&str, FileFault> {
    match bytes {
        [0xEF, 0xBB, 0xBF, ..] => return Err(FileFault::Utf8Bom),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, b'{', ..] | [b'{', 0, ..] => {
            return Err(FileFault::Utf16);
        }
        // An ASN.1 SEQUENCE of more than 127 bytes.
        [0x30, 0x80..=0x84, ..] => return Err(FileFault::Binary),
        _ => {}
    }
    let text = std::str::from_utf8(bytes).map_err(|error| FileFault::NotUtf8 { offset: error.valid_up_to() })?;
    let trimmed = text.trim_ascii();
    if trimmed.is_empty() {
        Err(FileFault::Empty)
    } else if trimmed.starts_with('{') {
        Ok(text)
    } else if trimmed.starts_with("-----BEGIN ") {
        Err(FileFault::Pem)
    } else if is_base64_of_an_object(bytes) {
        Err(FileFault::Base64TooOften)
    } else {
        Err(FileFault::NotAnObject)
    }
}

/// Whether decoding base64, perhaps several times, leads to something that begins with a brace.
pub(super) fn is_base64_of_an_object(bytes: &[u8]) -> bool {
    let mut layer = Zeroizing::new(bytes.to_vec());
    for _ in 0..MAX_LAYERS {
        let Some(inner) = decode(&layer) else {
            return false;
        };
        if inner.trim_ascii_start().starts_with(b"{") {
            return true;
        }
        layer = inner;
    }
    false
}

/// Decodes base64 of either alphabet, with line breaks and padding or without.
pub(super) fn decode(base64: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&alphabet::STANDARD, config);
    let mut compact = Zeroizing::new(Vec::with_capacity(base64.len()));
    compact.extend(base64.iter().filter(|b| !b.is_ascii_whitespace()).map(|b| match b {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    }));
    let mut bytes = Zeroizing::new(Vec::with_capacity(compact.len()));
    engine.decode_vec(&*compact, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE};

    fn wrapped(times: usize) -> String {
        (0..times).fold(" {\"type\": 1}".to_owned(), |text, _| BASE64_STANDARD.encode(text))
    }

    #[test]
    fn an_object_is_passed_on_as_it_is() {
        assert_eq!(object_text(b" \r\n{\"a\": 1}\n"), Ok(" \r\n{\"a\": 1}\n"));
        assert_eq!(object_text(b"{"), Ok("{"));
    }

    #[test]
    fn other_encodings_are_named() {
        let utf16 = |order: fn(u16) -> [u8; 2]| "{\"a\"}".encode_utf16().flat_map(order).collect::<Vec<u8>>();
        let (little, big) = (utf16(u16::to_le_bytes), utf16(u16::to_be_bytes));
        for file in [&little, &big, &[&[0xFF, 0xFE], &little[..]].concat(), &[&[0xFE, 0xFF], &big[..]].concat()] {
            assert_eq!(object_text(file), Err(FileFault::Utf16));
        }
        assert_eq!(object_text(b"\xEF\xBB\xBF{}"), Err(FileFault::Utf8Bom));
        assert_eq!(object_text(b"{\"a\": \"\xE9\"}"), Err(FileFault::NotUtf8 { offset: 7 }));
    }

    #[test]
    fn binary_keys_are_named() {
        for length in 0x80..=0x84 {
            assert_eq!(object_text(&[0x30, length, 9, 0xA2]), Err(FileFault::Binary));
        }
        assert_eq!(object_text(b"\x30\x85"), Err(FileFault::NotUtf8 { offset: 1 }));
        assert_eq!(object_text(b"01"), Err(FileFault::NotAnObject));
    }

    #[test]
    fn files_of_white_space_are_empty() {
        assert_eq!(object_text(b""), Err(FileFault::Empty));
        assert_eq!(object_text(b" \r\n\t"), Err(FileFault::Empty));
    }

    #[test]
    fn a_pem_file_is_named() {
        assert_eq!(object_text(b"\n-----BEGIN PRIVATE KEY-----\nMII"), Err(FileFault::Pem));
    }

    #[test]
    fn base64_is_seen_through() {
        for times in 1..=4 {
            assert_eq!(object_text(wrapped(times).as_bytes()), Err(FileFault::Base64TooOften), "{times}");
        }
        assert_eq!(object_text(wrapped(5).as_bytes()), Err(FileFault::NotAnObject));
        let json = "{\"a\":\"~~~???\u{3}\"}"; // has + and / in base64
        let standard = BASE64_STANDARD_NO_PAD.encode(json);
        assert!(standard.contains(['+', '/']));
        let folded = standard.as_bytes().chunks(5).collect::<Vec<_>>().join(&b"\r\n"[..]);
        assert_eq!(object_text(&folded), Err(FileFault::Base64TooOften));
        for json in [json, "{\"a\":\"\u{3e}\u{3e}>>>??>>??\"}"] {
            assert_eq!(object_text(BASE64_URL_SAFE.encode(json).as_bytes()), Err(FileFault::Base64TooOften));
        }
        assert_eq!(decode(b"-_-_"), decode(b"+/+/"));
        assert_eq!(decode(b"-_-_").map(|b| b.to_vec()), Some(vec![0xFB, 0xFF, 0xBF]));
    }

    #[test]
    fn anything_else_is_not_an_object() {
        for file in ["[]", "\"{}\"", "null", "/etc/key.json", "key.json", "dGV4dA=="] {
            assert_eq!(object_text(file.as_bytes()), Err(FileFault::NotAnObject), "{file}");
        }
    }
}
