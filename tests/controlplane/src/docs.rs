//! The code blocks of Markdown documents, each with the mark before it: what docs tell people to type, tests type.
//!
//! A mark is an HTML comment on the line before the block, which no reader sees. Code within a line isn't looked at.

/// What to write before a block; the message where it is missing.
pub const MARKS: &str = "\
Put a comment on the line before the block that says what it is:
  <!-- run: cluster -->     commands for a cluster: typed on a control plane, in the document's order
  <!-- run: shell -->       commands that need no cluster
  <!-- run: node -->        commands for a cluster with a node: the end-to-end suite types them (tests/e2e/suite.rs)
  <!-- not run -->          commands that can't be run there: tests/docs/not_run.rs says of each why
  <!-- output -->           what the block before it writes in the end
  <!-- file: PATH -->       goes to the end of that file, before anything is typed
  <!-- manifest -->         what the API server has to accept
  <!-- usage -->            commands whose flags --help has to know
  <!-- text -->             nothing to be typed or compared, such as a drawing
`run: cluster node` is both. `exit=1` after that is the exit code; NAME=value there, or after a path, stands for NAME in
the block. In a block with lines that begin with `$ `, those are typed and the others are what they write: a line `…` is
any lines, and an age at a line's end is any age.";

/// Where commands can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a control plane, as its administrator.
    Cluster,
    /// Where there is no cluster.
    Shell,
    /// On a cluster with a real node.
    Node,
}

/// What a block is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Commands, and the exit code of the last.
    Run(Vec<Place>, i32),
    /// Commands that no test can run.
    NotRun,
    /// What the block before it writes in the end.
    Output,
    /// The end of a file.
    File(String),
    /// What the API server has to accept.
    Manifest,
    /// Commands with placeholders.
    Usage,
    /// Neither.
    Text,
}

/// A code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its first line in the document, counted from 1.
    pub line: usize,
    /// What it is.
    pub mark: Mark,
    /// Its lines, without what makes them a block, and with the mark's values in place of their names.
    pub text: String,
}

impl Block {
    /// Whether it is to be run there.
    pub fn runs_on(&self, place: Place) -> bool {
        matches!(&self.mark, Mark::Run(places, _) if places.contains(&place))
    }

    /// What to type, and what that writes if the block says so: all of it at once, or what follows each `$ `.
    pub fn commands(&self) -> Vec<(String, Option<String>)> {
        let lines: Vec<&str> = self.text.lines().collect();
        if !lines.iter().any(|line| line.starts_with("$ ")) {
            return vec![(self.text.clone(), None)];
        }
        let with_prompt = lines.chunk_by(|_, next| !next.starts_with("$ "));
        let command = |lines: &[&str]| (lines[0].trim_start_matches("$ ").to_owned(), Some(lines[1..].join("\n")));
        with_prompt.map(command).collect()
    }
}

/// All code blocks of a document, indented or fenced.
///
/// # Errors
/// For each block without a mark or with one that isn't known, and each mark without a block: its line, and what to write.
pub fn blocks(markdown: &str) -> Result<Vec<Block>, String> {
    let raw = raw_blocks(markdown);
    let (mut blocks, mut wrong) = (Vec::new(), Vec::new());
    for (at, line) in markdown.lines().enumerate() {
        let has_block = raw.iter().any(|raw| (raw.line - 1..=raw.last).contains(&(at + 1)));
        if !has_block && comment(line).is_some_and(|mark| read(mark, mark).is_ok()) {
            wrong.push(format!("line {}: no block follows its mark: {line}", at + 1));
        }
    }
    for raw in raw {
        match raw.mark.as_deref().ok_or_else(|| "it has no mark".to_owned()).and_then(|mark| read(mark, &raw.text)) {
            Ok((mark, text)) => blocks.push(Block { line: raw.line, mark, text }),
            Err(why) => {
                wrong.push(format!("line {}: {why}: {}", raw.line, raw.text.lines().next().unwrap_or_default()))
            }
        }
    }
    if wrong.is_empty() { Ok(blocks) } else { Err(format!("{}\n{MARKS}", wrong.join("\n"))) }
}

/// Whether something was written as a document says it is: see [`MARKS`].
pub fn is_written_as(expected: &str, written: &str) -> bool {
    let lines = |text: &str| text.trim_end().lines().map(without_age).collect::<Vec<_>>();
    fits(&lines(expected), &lines(written))
}

fn fits(expected: &[String], written: &[String]) -> bool {
    match expected.split_first() {
        None => written.is_empty(),
        Some((line, rest)) if line.trim() == "…" => (0..=written.len()).any(|from| fits(rest, &written[from..])),
        Some((line, rest)) => written.first() == Some(line) && fits(rest, &written[1..]),
    }
}

/// The line with `AGE` in place of an age at its end.
fn without_age(line: &str) -> String {
    let line = line.trim_end();
    let start = line.rfind(' ').map_or(0, |at| at + 1);
    let last = &line[start..];
    let is_age = last.starts_with(|first: char| first.is_ascii_digit())
        && last.ends_with(['s', 'm', 'h', 'd'])
        && last.chars().all(|letter| letter.is_ascii_digit() || "smhd".contains(letter));
    if is_age { format!("{}AGE", &line[..start]) } else { line.to_owned() }
}

struct RawBlock {
    line: usize,
    last: usize,
    mark: Option<String>,
    text: String,
}

fn raw_blocks(markdown: &str) -> Vec<RawBlock> {
    let lines: Vec<&str> = markdown.lines().collect();
    let is_blank = |at: usize| lines.get(at).is_none_or(|line| line.trim().is_empty());
    let is_indented = |at: usize| lines.get(at).is_some_and(|line| line.starts_with("    ") && !is_blank(at));
    let mark = |at: usize| at.checked_sub(1).and_then(|before| comment(lines[before])).map(str::to_owned);
    let (mut blocks, mut at) = (Vec::new(), 0);
    while at < lines.len() {
        let start = at;
        if lines[at].trim_start().starts_with("```") {
            let end = (at + 1..lines.len()).find(|&line| lines[line].trim() == "```").unwrap_or(lines.len());
            let text = lines[start + 1..end].join("\n");
            blocks.push(RawBlock { line: start + 1, last: end + 1, mark: mark(start), text });
            at = end + 1;
        // Without that, what is indented goes on with a paragraph.
        } else if is_indented(at) && (at == 0 || is_blank(at - 1) || mark(at).is_some()) {
            let mut end = at;
            while at < lines.len() && (is_indented(at) || is_blank(at)) {
                at += 1;
                if is_indented(at - 1) {
                    end = at;
                }
            }
            let text: Vec<&str> = lines[start..end].iter().map(|line| line.get(4..).unwrap_or_default()).collect();
            blocks.push(RawBlock { line: start + 1, last: end, mark: mark(start), text: text.join("\n") });
        } else {
            at += 1;
        }
    }
    blocks
}

/// What a line says that is an HTML comment.
fn comment(line: &str) -> Option<&str> {
    line.strip_prefix("<!--").and_then(|line| line.strip_suffix("-->")).map(str::trim)
}

/// The mark, and the block's text with the mark's values in it.
fn read(mark: &str, text: &str) -> Result<(Mark, String), String> {
    let unknown = || format!("the mark `{mark}` isn't known");
    let (kind, rest) = mark.split_once(':').unwrap_or((mark, ""));
    let (values, words): (Vec<&str>, Vec<&str>) = rest.split_whitespace().partition(|word| word.contains('='));
    let mut text = text.to_owned();
    let mut exit = 0;
    for (name, value) in values.iter().filter_map(|value| value.split_once('=')) {
        if name == "exit" {
            exit = value.parse().map_err(|_| unknown())?;
        } else if text.contains(name) {
            text = text.replace(name, value);
        } else {
            return Err(format!("there is no {name} in it, which its mark gives"));
        }
    }
    let place = |word: &&str| match *word {
        "cluster" => Ok(Place::Cluster),
        "shell" => Ok(Place::Shell),
        "node" => Ok(Place::Node),
        _ => Err(unknown()),
    };
    let mark = match (kind, words.as_slice()) {
        ("run", [_, ..]) => Mark::Run(words.iter().map(place).collect::<Result<_, _>>()?, exit),
        ("file", [path]) => Mark::File((*path).to_owned()),
        ("not run", []) => Mark::NotRun,
        ("output", []) => Mark::Output,
        ("manifest", []) => Mark::Manifest,
        ("usage", []) => Mark::Usage,
        ("text", []) => Mark::Text,
        _ => return Err(unknown()),
    };
    Ok((mark, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(markdown: &str) -> Block {
        let mut blocks = blocks(markdown).unwrap();
        assert_eq!(blocks.len(), 1, "{blocks:#?}");
        blocks.remove(0)
    }

    #[test]
    fn indented_and_fenced_blocks_are_found_with_their_lines_and_marks() {
        let found = blocks(
            "Text\n    that goes on.\n\n<!-- run: cluster -->\n    one\n\n      two\n\nText\n\n\
             <!-- file: a/b.yaml -->\n```yaml\nthree: 3\n```\n<!-- text -->\n```\n<!-- text -->\n```\n",
        );
        let run = Mark::Run(vec![Place::Cluster], 0);
        let wanted = [
            (5, run, "one\n\n  two"),
            (12, Mark::File("a/b.yaml".to_owned()), "three: 3"),
            (16, Mark::Text, "<!-- text -->"),
        ];
        assert_eq!(found.unwrap(), wanted.map(|(line, mark, text)| Block { line, mark, text: text.to_owned() }));
    }

    #[test]
    fn a_comment_parts_two_indented_blocks() {
        let found = blocks("<!-- run: shell -->\n    a\n\n<!-- output -->\n    b\n").unwrap();
        assert_eq!(found.iter().map(|block| &*block.text).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(found[1].mark, Mark::Output);
    }

    #[test]
    fn a_block_without_a_mark_or_with_an_unknown_one_is_named_with_what_to_write() {
        let said = blocks("<!-- run: moon -->\n    one\n\nText\n\n    two\n\n```\nthree\n```\n").unwrap_err();
        for line in [
            "line 2: the mark `run: moon` isn't known: one",
            "line 6: it has no mark: two",
            "line 8: it has no mark: three",
        ] {
            assert!(said.contains(line), "{said}");
        }
        assert!(said.contains("<!-- run: cluster -->"), "{said}");
        let said = blocks("<!-- run: cluster -->\n\n    one\n").unwrap_err();
        assert!(
            said.contains("line 1: no block follows its mark") && said.contains("line 3: it has no mark"),
            "{said}"
        );
        for mark in ["run", "run:", "file:", "output: x", "run: cluster exit=one", "walk"] {
            assert!(blocks(&format!("<!-- {mark} -->\n    one\n")).is_err(), "{mark}");
        }
    }

    #[test]
    fn a_mark_gives_places_the_exit_code_and_values_for_names() {
        let block = only("<!-- run: cluster node exit=1 NAMESPACE=team-a -->\n    kubectl -n NAMESPACE get pod\n");
        assert_eq!(block.mark, Mark::Run(vec![Place::Cluster, Place::Node], 1));
        assert!(block.runs_on(Place::Node) && !block.runs_on(Place::Shell));
        assert_eq!(block.text, "kubectl -n team-a get pod");
        let said = blocks("<!-- run: cluster NAMESPACE=team-a -->\n    kubectl get pod\n").unwrap_err();
        assert!(said.contains("there is no NAMESPACE in it"), "{said}");
    }

    #[test]
    fn what_follows_a_prompt_is_what_it_writes() {
        let block = only("<!-- run: shell -->\n    $ echo a\n    a\n    $ true\n");
        let owned = |command: &str, written: &str| (command.to_owned(), Some(written.to_owned()));
        assert_eq!(block.commands(), [owned("echo a", "a"), owned("true", "")]);
        let block = only("<!-- run: shell -->\n    a \\\n      | b\n    c\n");
        assert_eq!(block.commands(), [("a \\\n  | b\nc".to_owned(), None)]);
    }

    #[test]
    fn what_is_written_differs_in_ages_and_in_what_is_left_out_only() {
        assert!(is_written_as("NAME  AGE\na     8s", "NAME  AGE\na     2m10s\n"));
        assert!(is_written_as("a\n  …\nd", "a\nb\nc\nd\n") && is_written_as("a\n…", "a"));
        assert!(!is_written_as("a\n…\nd", "a\nb\n") && !is_written_as("a", "a\nb") && !is_written_as("a  1", "a  2"));
        assert!(!is_written_as("a", "") && !is_written_as("a b", "a  b"));
    }
}
