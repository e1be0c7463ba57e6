//! Text of others, made fit to be shown: in a status, an Event, a log or a report.

/// The text made fit to be shown: one line, no control characters, at most 300
/// characters, and nothing in it that might be a piece of a key: a webhook may quote what it refuses, and what is
/// there already.
pub fn printable(text: &str) -> String {
    const MAX: usize = 300;
    let text = &without_secrets(text);
    let clean = |c: char| if is_unfit(c) { ' ' } else { c };
    let mut line: String = text.chars().map(clean).take(MAX).collect();
    if text.chars().nth(MAX).is_some() {
        line.push('…');
    }
    line
}

/// The text as it is, with `?` for what could move a terminal's cursor or turn the order of what is read.
pub fn plain(text: &str) -> String {
    text.replace(is_unfit, "?")
}

/// Control characters, ends of lines and paragraphs, and what turns the direction of writing
/// (<https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>).
fn is_unfit(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Replaces runs of letters, digits, `+`, `/` and `=` that are longer than any name.
fn without_secrets(text: &str) -> String {
    const LONGEST: usize = 48;
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    let mut out = String::new();
    for part in text.split_inclusive(|c| !is_base64(c)) {
        let run = part.trim_end_matches(|c| !is_base64(c));
        if run.len() > LONGEST {
            out.push_str("(withheld)");
            out.push_str(&part[run.len()..]);
        } else {
            out.push_str(part);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_shows_the_rest_as_it_is() {
        assert_eq!(plain("a\u{1b}[2J\u{2028}\u{202e}b\u{2066} é"), "a?[2J??b? é");
        let key = "a".repeat(100);
        assert_eq!(plain(&key), key);
    }

    #[test]
    fn what_may_be_a_piece_of_a_key_is_withheld() {
        let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7aa+/aaaaaaaa";
        let printed = printable(&format!("denied: \"{line}\\n{line}\" in team-a"));
        assert_eq!(printed, "denied: \"(withheld)\\(withheld)\" in team-a");
        let name = "a".repeat(48);
        assert_eq!(printable(&name), name);
        assert_eq!(printable(&format!("{name}=")), "(withheld)");
        assert_eq!(printable("a\u{7}\u{202e}b"), "a  b");
        assert_eq!(printable(&"é ".repeat(151)), format!("{}…", "é ".repeat(150)));
    }
}
