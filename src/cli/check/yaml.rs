//! YAML, and JSON as a part of it, as trees that know where everything stands.

use std::{borrow::Cow, collections::HashMap, rc::Rc};

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput, options};
use serde_json::Number;
use zeroize::Zeroizing;

use super::scalar::{self, Plain};

/// Deeper than any manifest.
const MAX_DEPTH: usize = 128;

/// More nodes than any manifest has; aliases of aliases could make a small text a large tree.
const MAX_NODES: usize = 200_000;

/// A place in a file; both count from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Position {
    /// Where a file begins.
    pub const START: Self = Self { line: 1, column: 1 };

    fn of(span: &Span) -> Self {
        Self { line: span.start.line(), column: span.start.col() + 1 }
    }
}

/// A text of the file. Where it had to be copied, the copy is wiped: it may be a part of a credential.
#[derive(Clone)]
pub enum Text<'a> {
    /// As it stands in the file.
    Slice(&'a str),
    /// Without quotes, escapes or indentation.
    Copy(Rc<Zeroizing<String>>),
}

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Slice(text) => text,
            Self::Copy(text) => text,
        }
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Slice(text),
            Cow::Owned(text) => Self::Copy(Rc::new(Zeroizing::new(text))),
        }
    }
}

/// A value and where it stands.
#[derive(Clone)]
pub struct Node<'a> {
    /// Where it begins.
    pub at: Position,
    /// What it is.
    pub value: Value<'a>,
}

/// What kubectl takes a node for.
#[derive(Clone)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(Text<'a>),
    /// A list.
    List(Vec<Node<'a>>),
    /// An object, in the order of the file.
    Map(Vec<Entry<'a>>),
}

/// A field of an object.
#[derive(Clone)]
pub struct Entry<'a> {
    /// Its name.
    pub key: Text<'a>,
    /// Where the name stands.
    pub at: Position,
    /// Its value.
    pub node: Node<'a>,
}

impl<'a> Node<'a> {
    /// The object's field of that name.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.entries().iter().find(|entry| entry.key.as_str() == key).map(|entry| &entry.node)
    }

    /// The field that a path of names leads to.
    pub fn at_path(&self, path: &[&str]) -> Option<&Node<'a>> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The object's fields; none where it is something else.
    pub fn entries(&self) -> &[Entry<'a>] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The list's values; none where it is something else.
    pub fn items(&self) -> &[Node<'a>] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// Whether a text or name in it has `{{`, as templates have.
    pub fn is_template(&self) -> bool {
        self.text().is_some_and(|text| text.contains("{{"))
            || self.items().iter().any(Node::is_template)
            || self.entries().iter().any(|entry| entry.key.as_str().contains("{{") || entry.node.is_template())
    }

    fn size(&self) -> usize {
        let items = self.items().iter().map(Node::size).sum::<usize>();
        1 + items + self.entries().iter().map(|entry| entry.node.size()).sum::<usize>()
    }
}

/// One document of a file.
pub struct Document<'a> {
    /// What it holds.
    pub root: Node<'a>,
    /// Names of fields that an object has already.
    pub repeated: Vec<Position>,
}

/// Why a document can't be read. It holds nothing of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: Position,
    /// What is wrong.
    pub message: String,
}

/// The documents of a file, each by itself: one that can't be read says so, and the next is read all the same.
pub fn documents(text: &str) -> Vec<Result<Document<'_>, Fault>> {
    let options: Options = options! { emit_comments: false };
    let mut builder = Builder::new(Parser::new_from_str_with_options(text, options));
    let mut documents = Vec::new();
    loop {
        match builder.document() {
            Ok(None) => return documents,
            Ok(Some(document)) => documents.push(Ok(document)),
            Err(fault) => {
                documents.push(Err(fault));
                if !builder.parser.proceed_next_document().unwrap_or(false) {
                    return documents;
                }
            }
        }
    }
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node<'a>>,
    nodes: usize,
    repeated: Vec<Position>,
}

impl<'a> Builder<'a> {
    fn new(parser: Parser<'a, StrInput<'a>>) -> Self {
        Self { parser, anchors: HashMap::new(), nodes: 0, repeated: Vec::new() }
    }

    /// The next document, or none at the end of the file.
    fn document(&mut self) -> Result<Option<Document<'a>>, Fault> {
        self.anchors.clear();
        self.nodes = 0;
        self.repeated.clear();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::DocumentStart(..)) {
                let (event, span) = self.expect(&span)?;
                let root = self.node(event, &span, 0)?;
                return Ok(Some(Document { root, repeated: std::mem::take(&mut self.repeated) }));
            }
        }
        Ok(None)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Fault> {
        self.parser.next_event().transpose().map_err(|error| fault(&error))
    }

    fn expect(&mut self, last: &Span) -> Result<(Event<'a>, Span), Fault> {
        self.next()?.ok_or_else(|| refuse(last, "it ends in the middle"))
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node<'a>, Fault> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(refuse(span, "it is too deep or too large for a manifest"));
        }
        let (value, anchor) = match event {
            Event::Alias(anchor) => {
                let copy = self.anchors.get(&anchor).cloned();
                let mut copy = copy.ok_or_else(|| refuse(span, "an alias stands within its own anchor"))?;
                self.nodes += copy.size();
                copy.at = Position::of(span);
                return Ok(copy);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.as_ref().and_then(|tag| tag.core_suffix()) == Some("str");
                let value = match scalar::resolve(&text) {
                    Plain::Null if style == ScalarStyle::Plain && !is_text => Value::Null,
                    Plain::Bool(bool) if style == ScalarStyle::Plain && !is_text => Value::Bool(bool),
                    Plain::Number(number) if style == ScalarStyle::Plain && !is_text => Value::Number(number),
                    _ => Value::Text(text.into()),
                };
                (value, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (Value::List(self.list(span, depth)?), anchor),
            Event::MappingStart(_, anchor, _) => (Value::Map(self.map(span, depth)?), anchor),
            _ => return Err(refuse(span, "a value is missing")),
        };
        let node = Node { at: Position::of(span), value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, start: &Span, depth: usize) -> Result<Vec<Node<'a>>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.expect(start)? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, &span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, start: &Span, depth: usize) -> Result<Vec<Entry<'a>>, Fault> {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (key, style, at) = match self.expect(start)? {
                (Event::MappingEnd, _) => break,
                (Event::Scalar(key, style, ..), span) => (Text::from(key), style, span),
                (_, span) => return Err(refuse(&span, "the name of a field isn't plain text")),
            };
            let (event, span) = self.expect(&at)?;
            let node = self.node(event, &span, depth + 1)?;
            let entry = Entry { key, at: Position::of(&at), node };
            if entry.key.as_str() == "<<" && style == ScalarStyle::Plain {
                merged.push(entry.node);
            } else if let Some(known) = entries.iter_mut().find(|known| known.key.as_str() == entry.key.as_str()) {
                self.repeated.push(entry.at);
                // As kubectl has it.
                *known = entry;
            } else {
                entries.push(entry);
            }
        }
        for node in merged {
            let sources = if let Value::List(nodes) = node.value { nodes } else { vec![node] };
            for source in sources {
                for entry in source.entries() {
                    if entries.iter().all(|known| known.key.as_str() != entry.key.as_str()) {
                        entries.push(entry.clone());
                    }
                }
            }
        }
        Ok(entries)
    }
}

fn refuse(span: &Span, message: &str) -> Fault {
    Fault { at: Position::of(span), message: message.to_owned() }
}

/// The parser's own sentences name no more of the text than one character.
fn fault(error: &ScanError) -> Fault {
    let at = Position { line: error.marker().line(), column: error.marker().col() + 1 };
    let message = match error.kind() {
        ErrorKind::Custom(_) | ErrorKind::InputDecoding { .. } | ErrorKind::InputIo { .. } => {
            "it isn't YAML".to_owned()
        }
        kind => kind.to_string(),
    };
    Fault { at, message }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
