//! Rust's text, as far as imports go: no comments, strings or tests, and the paths in it.

/// The text with comments, and what is in strings and character literals, taken out.
pub fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(hashes) = raw_string(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = hashes + 2;
            start + rest[start..].find(&end).unwrap() + end.len()
        } else if first == '"' {
            string_len(rest)
        } else if first == '\'' {
            character_len(rest)
        } else {
            0
        };
        if skipped == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.push(' ');
            rest = &rest[skipped..];
        }
    }
    out
}

fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
    after[hashes..].starts_with('"').then_some(hashes)
}

fn string_len(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let is_end = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        is_end
    });
    end.unwrap().0 + 1
}

/// That of a character literal; 1 for the mark of a lifetime.
fn character_len(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => 2 + text[3..].find('\'').unwrap() + 2,
        Some(_) if chars.next().is_some_and(|(_, c)| c == '\'') => text.char_indices().nth(3).unwrap().0,
        _ => 1,
    }
}

/// The text without the items that are compiled for tests only, and the files among these: their stems.
pub fn without_tests(text: &str) -> (String, Vec<String>) {
    const MARK: &str = "#[cfg(test)]";
    let (mut out, mut files) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        let item = &rest[at + MARK.len()..];
        let end = item.find([';', '{']).unwrap();
        if item[end..].starts_with(';') {
            if let Some((_, name)) = item[..end].rsplit_once("mod ") {
                files.push(name.to_owned());
            }
            rest = &item[end + 1..];
        } else {
            rest = &item[end + block_len(&item[end..])..];
        }
    }
    out.push_str(rest);
    (out, files)
}

fn block_len(text: &str) -> usize {
    let mut depth = 0_usize;
    let end = text.bytes().position(|byte| {
        depth = depth + usize::from(byte == b'{') - usize::from(byte == b'}');
        depth == 0
    });
    end.unwrap() + 1
}

/// All paths of two segments and more, each with every branch of its braces.
pub fn paths(text: &str) -> Vec<Vec<String>> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("::") {
        let start = rest[..at].trim_end_matches(is_name).len();
        if start == at {
            rest = &rest[at + 2..];
        } else {
            rest = tree(&rest[start..], &mut Vec::new(), &mut found);
        }
    }
    found
}

/// The paths that a tree such as `a::{b, c::{self, D as E}}` stands for; what follows it doesn't matter.
pub fn leaves(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    tree(text.trim_start(), &mut Vec::new(), &mut found);
    found
}

/// Reads one tree below a prefix and gives what follows it.
fn tree<'a>(text: &'a str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start_matches([' ', '\n', ',']);
            match rest.strip_prefix('}') {
                Some(after) => return after,
                None if rest.is_empty() => return rest,
                None => rest = tree(rest, prefix, found),
            }
        }
    }
    let len = text.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '*')).unwrap_or(text.len());
    let (name, rest) = text.split_at(len);
    let above = prefix.len();
    if !name.is_empty() && (name != "self" || above == 0) {
        prefix.push(name.to_owned());
    }
    let rest = match rest.strip_prefix("::") {
        Some(below) => tree(below, prefix, found),
        None => {
            found.push(prefix.clone());
            rest
        }
    };
    prefix.truncate(above);
    let renamed = rest.trim_start().strip_prefix("as ");
    renamed.map_or(rest, |name| name.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'))
}

#[test]
fn paths_are_found_and_neither_comments_nor_strings_nor_tests() {
    let text = r##"
        //! [`crate::no`]
        use crate::{a::{self, B as C}, d};
        const TEXT: &str = "crate::no \" // {";
        const RAW: &str = r#"crate::"no""#;
        fn f<'a>(c: char) -> super::super::e::F { c == '"' || c == '\'' || crate::g::h('{') }
        #[cfg(test)]
        mod file;
        #[cfg(test)]
        mod tests { use crate::no; fn f() { crate::no::no() } }
        use z::y;
    "##;
    let (text, files) = without_tests(&without_comments(text));
    let found: Vec<_> = paths(&text).iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["crate::a", "crate::a::B", "crate::d", "super::super::e::F", "crate::g::h", "z::y"]);
    assert_eq!(files, ["file"]);
}
