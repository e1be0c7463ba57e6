//! Finds the members of a JSON object without a copy that nobody wipes.
//!
//! `serde_json` collects every string that has an escape in a buffer of its own, which is freed as it is; a private key
//! in a key file is such a string (`\n`). So it only finds where names and values begin and end, which copies nothing, and
//! [`unescape`] writes into memory that is wiped.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{error::Category, value::RawValue};
use zeroize::Zeroizing;

/// Why a text isn't one JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It ends in the middle.
    Truncated,
    /// It breaks JSON's syntax here; both count from 1, the column in bytes.
    Syntax {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
}

/// One member of an object, as slices of the text.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    /// The name as it is written, quotes and escapes included.
    name: &'a str,
    /// The value as it is written.
    value: &'a str,
}

impl<'a> Member<'a> {
    /// Whether the member is called this, however its name is escaped.
    pub fn is(&self, name: &str) -> bool {
        unescape(self.name).is_some_and(|own| *own == name)
    }

    /// As [`Self::is`], but in upper or lower case, as Go compares names.
    pub fn is_in_any_case(&self, name: &str) -> bool {
        unescape(self.name).is_some_and(|own| own.eq_ignore_ascii_case(name))
    }

    /// The name itself; `None` if it has an escape that is half of a character.
    pub fn name(&self) -> Option<Zeroizing<String>> {
        unescape(self.name)
    }

    /// The value as it is written.
    pub fn value(&self) -> &'a str {
        self.value
    }
}

/// The members of the object that the text is, in the order of the text; none if it is a value of another kind.
pub fn members(text: &str) -> Result<Vec<Member<'_>>, Fault> {
    // The error's own text may quote the input, so only its position is taken.
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| match error.classify() {
        Category::Eof => Fault::Truncated,
        _ => Fault::Syntax { line: error.line(), column: error.column() },
    })?;
    // Of a string, the error that it isn't an object would hold a copy.
    if !text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('{') {
        return Ok(Vec::new());
    }
    Ok(serde_json::from_str::<Members<'_>>(text).map(|members| members.0).unwrap_or_default())
}

struct Members<'a>(Vec<Member<'a>>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Slices;
        impl<'de> Visitor<'de> for Slices {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = Vec::new();
                while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    found.push(Member { name: name.get(), value: value.get() });
                }
                Ok(Members(found))
            }
        }
        deserializer.deserialize_map(Slices)
    }
}

/// The string that a JSON string (with its quotes) stands for; `None` if it isn't a string or has a `\u` escape that is
/// half of a character.
pub fn unescape(raw: &str) -> Option<Zeroizing<String>> {
    let mut rest = raw.strip_prefix('"')?.strip_suffix('"')?;
    // An escape is never shorter than what it stands for, so this never grows, which would leave a copy behind.
    let mut out = Zeroizing::new(String::with_capacity(rest.len()));
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let mut chars = rest[at + 1..].chars();
        out.push(match chars.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (character, after) = unicode(chars.as_str())?;
                chars = after.chars();
                character
            }
            itself => itself,
        });
        rest = chars.as_str();
    }
    out.push_str(rest);
    Some(out)
}

/// The character whose UTF-16 code follows a `\u`, and the text after it.
fn unicode(text: &str) -> Option<(char, &str)> {
    let unit = |text: &str| u16::from_str_radix(text.get(..4)?, 16).ok();
    let first = unit(text)?;
    let after = &text[4..];
    if let Some(Ok(character)) = char::decode_utf16([first]).next() {
        return Some((character, after));
    }
    let low = after.strip_prefix("\\u")?;
    let character = char::decode_utf16([first, unit(low)?]).next()?.ok()?;
    Some((character, &low[4..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn pairs(text: &str) -> Vec<(&str, &str)> {
        members(text).unwrap().into_iter().map(|m| (m.name, m.value)).collect()
    }

    #[test]
    fn members_are_slices_of_the_text() {
        let text = " \t\r\n{ \"a\" : \"x, }\\\"\" ,\"b\":{\"c\":[1,{\"d\":\"]\"}]}\r\n,\t\"e\\\\\":-1.5e3 , \"f\":true,\"g\":null\n}\n";
        assert_eq!(
            pairs(text),
            [
                ("\"a\"", "\"x, }\\\"\""),
                ("\"b\"", "{\"c\":[1,{\"d\":\"]\"}]}"),
                ("\"e\\\\\"", "-1.5e3"),
                ("\"f\"", "true"),
                ("\"g\"", "null"),
            ]
        );
        assert_eq!(pairs("{}"), []);
        assert_eq!(pairs("[{\"a\":1}]"), []);
        assert_eq!(pairs("\"a\""), []);
    }

    #[test]
    fn a_fault_says_where_it_is() {
        assert_eq!(members("{\"a\":").err(), Some(Fault::Truncated));
        assert_eq!(members("{\n \"a\": x}").err(), Some(Fault::Syntax { line: 2, column: 7 }));
        assert_eq!(members("{} {}").err(), Some(Fault::Syntax { line: 1, column: 4 }));
    }

    #[test]
    fn escapes_are_undone() {
        let undone = |raw: &str| unescape(raw).map(|s| s.to_string());
        let all = undone(r#""\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00 z""#);
        assert_eq!(all.as_deref(), Some("\"\\/\u{8}\u{c}\n\r\tAé\u{1F600} z"));
        for half in
            [r#""\ud83d""#, r#""\ud83dx""#, r#""\ud83d\u0041""#, r#""\ude00\ud83d""#, r#""\u00""#, "1", "\"", "\"a"]
        {
            assert_eq!(undone(half), None, "{half}");
        }
    }

    #[test]
    fn a_name_may_be_escaped() {
        let found = members(r#"{"\u0074ype":1}"#).unwrap();
        assert!(found[0].is("type"));
        assert!(!found[0].is("typ"));
    }

    proptest! {
        #[test]
        fn any_text_is_scanned_without_panic(text in r#"[{}\[\]",:\\u0d8 \n]{0,40}"#) {
            let _ = members(&text);
            let _ = unescape(&text);
        }

        #[test]
        fn what_serde_json_writes_is_found_again(map in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..6)) {
            let text = serde_json::to_string_pretty(&map).unwrap();
            let found: BTreeMap<String, String> = members(&text)
                .unwrap()
                .iter()
                .map(|m| (unescape(m.name).unwrap().to_string(), unescape(m.value).unwrap().to_string()))
                .collect();
            prop_assert_eq!(found, map);
        }
    }
}
