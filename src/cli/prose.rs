//! Text for people, in lines.

use crate::api::plain;

/// The width of a line, where no word is longer.
const WIDTH: usize = 100;

/// Lines of words, the first of which is indented already. What comes from a cluster must not move a terminal's cursor.
pub fn wrapped(text: &str, indent: usize) -> String {
    let text = plain(text);
    let mut lines = String::new();
    let mut column = indent;
    for word in text.split(' ') {
        let width = word.chars().count();
        if column > indent && column + 1 + width > WIDTH {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            column = indent;
        } else if column > indent {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += width;
    }
    lines
}

/// A count with its noun: `1 pod`, `2 pods`.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_put_into_lines_and_cannot_move_the_cursor() {
        let text = format!("{} {} end\u{1b}[2J", "a".repeat(60), "b".repeat(60));
        assert_eq!(wrapped(&text, 2), format!("{}\n  {} end?[2J", "a".repeat(60), "b".repeat(60)));
        assert_eq!((counted(1, "pod"), counted(0, "pod")), ("1 pod".to_owned(), "0 pods".to_owned()));
    }
}
