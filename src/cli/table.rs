//! Aligned columns, as kubectl prints them, and colours where there is somebody to see them.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
};

use crate::api::plain;

/// Spaces between two columns.
const GAP: usize = 3;

/// Whether text may have colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// No.
    Plain,
    /// Yes, as ANSI escapes.
    Coloured,
}

/// What a text's colour says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    #[default]
    Neutral,
    /// All is well.
    Good,
    /// Worth a look.
    Warning,
    /// Something is wrong.
    Bad,
    /// Less important than the rest.
    Faint,
}

impl Style {
    /// Colours on a terminal, unless `$NO_COLOR` is set (<https://no-color.org>) or the terminal is a dumb one.
    pub fn of_stdout() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if io::stdout().is_terminal() && !set("NO_COLOR") && !dumb { Self::Coloured } else { Self::Plain }
    }

    /// The text in the tone's colour.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match (self, tone) {
            (Self::Plain, _) | (_, Tone::Neutral) => return text.to_owned(),
            (Self::Coloured, Tone::Good) => 32,
            (Self::Coloured, Tone::Warning) => 33,
            (Self::Coloured, Tone::Bad) => 31,
            (Self::Coloured, Tone::Faint) => 2,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// One cell of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text in the colour of a tone. Control characters, which could rewrite what a terminal shows, become `?`.
    pub fn new(text: impl fmt::Display, tone: Tone) -> Self {
        Self { text: plain(&text.to_string()), tone }
    }
}

impl<T: fmt::Display> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Neutral)
    }
}

/// Rows below upper-case headers. The last column is never padded.
#[derive(Clone, Debug)]
pub struct Table<const COLUMNS: usize> {
    headers: [&'static str; COLUMNS],
    rows: Vec<[Cell; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    /// A table without rows.
    pub fn new(headers: [&'static str; COLUMNS]) -> Self {
        Self { headers, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: [Cell; COLUMNS]) {
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes headers and rows; nothing where there is no row.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write(&self, to: &mut dyn Write, style: Style) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let headers = self.headers.map(Cell::from);
        let rows = || std::iter::once(&headers).chain(&self.rows);
        let width = |column: usize| rows().map(|row| row[column].text.chars().count()).max().unwrap_or_default();
        let widths: [usize; COLUMNS] = std::array::from_fn(width);
        for row in rows() {
            let mut line = String::new();
            for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
                line += &style.paint(cell.tone, &cell.text);
                if at + 1 < COLUMNS {
                    line += &" ".repeat(width - cell.text.chars().count() + GAP);
                }
            }
            writeln!(to, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(table: &Table<3>, style: Style) -> String {
        let mut text = Vec::new();
        table.write(&mut text, style).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn table() -> Table<3> {
        let mut table = Table::new(["NAME", "STATE", "WHY"]);
        table.row(["a".into(), Cell::new("broken", Tone::Bad), "it broke".into()]);
        table.row(["größer".into(), Cell::new("ok", Tone::Good), "".into()]);
        table
    }

    #[test]
    fn columns_are_aligned_by_characters_and_no_line_ends_in_spaces() {
        let expected = "NAME     STATE    WHY\na        broken   it broke\ngrößer   ok\n";
        assert_eq!(written(&table(), Style::Plain), expected);
    }

    #[test]
    fn colours_take_no_width() {
        let coloured = written(&table(), Style::Coloured);
        assert!(coloured.contains("a        \u{1b}[31mbroken\u{1b}[0m   it broke\n"), "{coloured:?}");
    }

    #[test]
    fn a_table_without_rows_is_nothing_at_all() {
        assert_eq!(written(&Table::new(["A", "B", "C"]), Style::Plain), "");
    }

    #[test]
    fn a_cell_cannot_move_the_cursor() {
        assert_eq!(Cell::from("a\u{1b}[2Jb\nc"), Cell::from("a?[2Jb?c"));
    }
}
