//! How it looks.

use std::io::{IsTerminal, stdout};

/// Writes to stdout, in colour only where a person looks at it and hasn't asked for none (<https://no-color.org>).
pub struct Screen {
    colour: bool,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "1;31";
const CYAN: &str = "36";

impl Screen {
    pub fn new() -> Screen {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Screen { colour: stdout().is_terminal() && !is_set("NO_COLOR") && !dumb }
    }

    pub fn text(&self, text: &str) {
        println!("{text}");
    }

    pub fn heading(&self, number: usize, title: &str) {
        println!("\n{}", self.paint(BOLD, &format!("{number}. {title}")));
    }

    /// A remark that a shell would skip.
    pub fn note(&self, text: &str) {
        println!("{}", self.paint(DIM, &format!("# {text}")));
    }

    /// Commands, one a line, or over more lines that end in a backslash.
    pub fn command(&self, commands: &str) {
        let mut prompt = "$ ";
        for line in commands.lines() {
            println!("{}", self.paint(CYAN, &format!("{prompt}{line}")));
            prompt = if line.ends_with('\\') { "" } else { "$ " };
        }
    }

    /// What a command wrote.
    pub fn output(&self, output: &str) {
        for line in output.lines() {
            println!("{}", line.trim_end());
        }
    }

    /// What was found to be so.
    pub fn checked(&self, text: &str) {
        println!("{}", self.paint(GREEN, &format!("✓ {text}")));
    }

    pub fn failure(&self, text: &str) {
        println!("\n{}", self.paint(RED, &format!("✗ {text}")));
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
