//! Which module imports which, by the text of the files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::text::{leaves, paths, without_comments, without_tests};

/// One file.
struct Module {
    text: String,
    /// The names that its `use` declarations bring in, each with the path that it stands for; `*` for all of a module.
    uses: Vec<(String, Vec<String>)>,
}

/// All modules, by their paths below the crate such as `plan::targets`; `main` is one of them, `lib` isn't.
pub struct Crate {
    modules: BTreeMap<String, Module>,
    imports: BTreeSet<(String, String)>,
}

impl Crate {
    /// Reads all files.
    pub fn read(root: &Path) -> Self {
        let mut modules = BTreeMap::new();
        read_folder(root, "", &mut modules);
        modules.remove("");
        let mut found = Self { modules, imports: BTreeSet::new() };
        let imports = found.modules.iter().flat_map(|(name, module)| {
            // What a folder hands on of its own modules it doesn't use itself.
            let hands_on = |statement: &&str| {
                let tree = statement.rsplit_once("use ").filter(|(before, _)| before.trim_end().ends_with(['b', ')']));
                tree.is_some_and(|(_, tree)| found.modules.contains_key(&join(name, leaves(tree)[0][0].as_str())))
            };
            let statements = module.text.split(';').filter(|statement| !hands_on(statement));
            let reached = statements.flat_map(paths).filter_map(|path| found.target(name, &path));
            reached.filter(|to| to != name).map(|to| (name.clone(), to)).collect::<Vec<_>>()
        });
        found.imports = imports.collect();
        found
    }

    /// All imports of a module by another.
    pub fn imports(&self) -> impl Iterator<Item = (&str, &str)> {
        self.imports.iter().map(|(from, to)| (&**from, &**to))
    }

    /// Those from one module and what is in it to another and what is in it.
    pub fn imports_between(&self, from: &str, to: &str) -> Vec<(&str, &str)> {
        let is_in = |module: &str, of: &str| module == of || module.starts_with(&format!("{of}::"));
        self.imports().filter(|(a, b)| is_in(a, from) && is_in(b, to)).collect()
    }

    /// The modules with others in them; the crate itself is the empty path.
    pub fn folders(&self) -> BTreeSet<String> {
        self.modules.keys().map(|name| name.rsplit_once("::").map_or("", |(folder, _)| folder).to_owned()).collect()
    }

    /// The modules directly in a folder.
    pub fn children(&self, folder: &str) -> Vec<String> {
        let within = |name: &&String| name.rsplit_once("::").map_or("", |(parent, _)| parent) == folder;
        self.modules.keys().filter(within).cloned().collect()
    }

    /// The module in which that is defined what a path in the module `from` names; `None` where it is outside the crate.
    fn target(&self, from: &str, path: &[String]) -> Option<String> {
        let (mut module, rest) = match path.first()?.as_str() {
            "crate" | "regcred" => (String::new(), &path[1..]),
            "super" => {
                let ups = path.iter().take_while(|segment| *segment == "super").count();
                let segments: Vec<_> = from.split("::").collect();
                (segments[..segments.len().checked_sub(ups)?].join("::"), &path[ups..])
            }
            // In a `mod.rs`, a path may begin with a module of the folder.
            first if self.modules.contains_key(&join(from, first)) && path.len() > 1 => (from.to_owned(), path),
            _ => return None,
        };
        for (at, segment) in rest.iter().enumerate() {
            let below = join(&module, segment);
            if self.modules.contains_key(&below) {
                module = below;
            } else {
                return Some(self.definer(&module, &rest[at..]));
            }
        }
        (!module.is_empty()).then_some(module)
    }

    /// The module that defines the name that the path begins with, where `module` may only hand it on.
    fn definer(&self, module: &str, path: &[String]) -> String {
        let Some(known) = self.modules.get(module) else { return module.to_owned() };
        let named = known.uses.iter().find(|(name, _)| *name == path[0]);
        let all = || known.uses.iter().filter(|(name, _)| name == "*").map(|(_, path)| path);
        if let Some((_, used)) = named {
            return self.target(module, used).unwrap_or_else(|| module.to_owned());
        }
        let globbed = all().filter_map(|used| self.target(module, &used[..used.len() - 1]));
        let defines = |other: &String| {
            let text = &self.modules[other].text;
            ["struct", "enum", "trait", "fn", "type", "const"]
                .iter()
                .any(|kind| text.contains(&format!("{kind} {}", path[0])))
        };
        globbed.into_iter().find(defines).unwrap_or_else(|| module.to_owned())
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}::{name}") }
}

fn read_folder(folder: &Path, path: &str, modules: &mut BTreeMap<String, Module>) {
    let mut test_modules = BTreeSet::new();
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap().path();
        let name = entry.file_stem().unwrap().to_str().unwrap().to_owned();
        if entry.is_dir() {
            folders.push((name, entry));
            continue;
        }
        if entry.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let own = match name.as_str() {
            "mod" | "lib" => path.to_owned(),
            _ => join(path, &name),
        };
        let text = without_comments(&fs::read_to_string(&entry).unwrap());
        let (text, tests) = without_tests(&text);
        // A module of tests is in the folder of the module's own name or, where it has a path, beside it.
        test_modules
            .extend(tests.into_iter().flat_map(|test| [join(&own, &test), join(path, &test), format!("{own}_{test}")]));
        let uses = uses(&text);
        modules.insert(own, Module { text, uses });
    }
    for (name, folder) in folders {
        read_folder(&folder, &join(path, &name), modules);
    }
    modules.retain(|name, _| !test_modules.iter().any(|test| name == test || name.starts_with(&format!("{test}::"))));
}

/// What the `use` declarations bring in.
fn uses(text: &str) -> Vec<(String, Vec<String>)> {
    let declarations = text.split(';').filter_map(|statement| {
        let (before, tree) = statement.rsplit_once("use ")?;
        (before.is_empty() || before.ends_with(char::is_whitespace)).then_some(tree)
    });
    declarations.flat_map(leaves).filter_map(|path| Some((path.last()?.clone(), path))).collect()
}
