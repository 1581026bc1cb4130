//! No file of `src` imports itself by way of others: who reads one has to read all of a circle.
//!
//! A module and what lies in its own folder count as one, since `mod.rs` is the face of the files
//! beside it. Unit tests and the simulation are left out: they look at everything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A module by its path: `plan`, `step`.
type Module = Vec<String>;

/// The modules that each module imports.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

fn module(file: &str) -> Module {
    let inside = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs");
    let mut path: Module = inside.split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

fn is_left_out(module: &Module) -> bool {
    let of_tests = |part: &String| part.starts_with("tests") || part.ends_with("_tests");
    let is_face = matches!(module.as_slice(), [only] if only == "lib" || only == "main");
    is_face || module.iter().any(|part| of_tests(part) || part == "simulation")
}

/// The code of a file without comments and unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The paths in a tree of imports: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn paths(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((stem, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or_default().trim().to_owned()];
    };
    let list = rest.rsplit_once('}').map_or(rest, |(list, _)| list);
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match parts.last_mut() {
            _ if c == ',' && depth == 0 => parts.push(String::new()),
            Some(part) => part.push(c),
            None => {}
        }
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(|part| paths(part)).map(|path| format!("{}{path}", stem.trim())).collect()
}

/// What a file names in its imports and in paths such as `super::step::Step`.
fn named(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for statement in code.split(';') {
        let line = statement.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        if let Some((before, tree)) = line.rsplit_once("use ")
            && (before.is_empty() || before.ends_with([' ', '}', ']', ')', '{']))
        {
            found.extend(paths(&tree.replace(' ', "")));
        }
    }
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let path = code[at..].split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').next();
            found.extend(path.map(|path| path.trim_end_matches(':').to_owned()));
        }
    }
    found
}

/// The module that a path in `from` leads to, if it is one of ours.
fn resolve(from: &Module, path: &str, known: &BTreeSet<Module>) -> Option<Module> {
    let mut place = match path.split("::").next()? {
        "crate" => Module::new(),
        "super" | "self" => from.clone(),
        _ => return None,
    };
    for part in path.split("::") {
        match part {
            "crate" | "self" => {}
            "super" => drop(place.pop()),
            name => place.push(name.to_owned()),
        }
    }
    while !place.is_empty() && !known.contains(&place) {
        place.pop();
    }
    Some(place).filter(|place| !place.is_empty())
}

fn imports(files: &[(String, String)]) -> Imports {
    let known: BTreeSet<Module> = files.iter().map(|(file, _)| module(file)).collect();
    let used = files.iter().filter(|(file, _)| !is_left_out(&module(file)));
    let of = |(file, text): &(String, String)| {
        let from = module(file);
        let to = named(&code(text)).into_iter().filter_map(|path| resolve(&from, &path, &known));
        let to = to.filter(|to| !to.starts_with(&from) && !from.starts_with(to) && !is_left_out(to));
        (from.clone(), to.collect::<BTreeSet<_>>())
    };
    used.map(of).collect()
}

/// The modules that can be reached from `from` along imports.
fn reached(imports: &Imports, from: &Module) -> BTreeSet<Module> {
    let (mut found, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        for to in imports.get(module).into_iter().flatten() {
            if found.insert(to.clone()) {
                open.push(to);
            }
        }
    }
    found
}

/// Each circle once, as the modules of it in alphabetical order.
fn circles(files: &[(String, String)]) -> BTreeSet<Vec<String>> {
    let imports = imports(files);
    let all: BTreeMap<&Module, BTreeSet<Module>> =
        imports.keys().map(|module| (module, reached(&imports, module))).collect();
    let in_circle = all.iter().filter(|(module, reached)| reached.contains(**module));
    let circle = |(module, reached): (&&Module, &BTreeSet<Module>)| {
        let back = |other: &&Module| all.get(*other).is_some_and(|others| others.contains(*module));
        reached.iter().filter(back).map(|module| module.join("/")).collect::<Vec<_>>()
    };
    in_circle.map(circle).collect()
}

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut files, mut open) = (Vec::new(), vec![root.join("src")]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    let sources = sources();
    let imports: usize = imports(&sources).values().map(BTreeSet::len).sum();
    assert!(imports > 1000, "only {imports} imports were found: is src still read right?");
    assert_eq!(circles(&sources), BTreeSet::new());
}

#[test]
fn a_circle_is_found() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let of = |files: &[(String, String)]| circles(files).into_iter().flatten().collect::<Vec<_>>();
    let (a, b) = (file("src/plan/a.rs", "use super::b::{One, Two};"), file("src/plan/b.rs", "use super::c;"));
    assert_eq!(of(&[a.clone(), b.clone(), file("src/plan/c.rs", "")]), Vec::<String>::new());
    let back = file("src/plan/c.rs", "fn x() -> crate::plan::a::Three {}");
    assert_eq!(of(&[a.clone(), b.clone(), back]), ["plan/a", "plan/b", "plan/c"]);
    let comment = file("src/plan/c.rs", "// as in crate::plan::a");
    assert_eq!(of(&[a, b, comment]), Vec::<String>::new());
    // A folder and its face are one.
    let face = file("src/plan/mod.rs", "pub(crate) use inner::Plan;");
    assert_eq!(of(&[face, file("src/plan/inner.rs", "use super::Other;")]), Vec::<String>::new());
}
