//! The walls of the house: which room may import which, and which room owns which crate. The table
//! stands here and in ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Which rooms each room may import.
const IMPORTS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("manifest", &["model"]),
    ("plan", &["model"]),
    ("files", &["model", "platform"]),
    ("state", &["model", "platform"]),
    ("cloud", &["model"]),
    ("outputs", &["model", "platform"]),
    ("moving", &["model"]),
    ("telemetry", &["model"]),
    ("platform", &["model"]),
    ("engine", &["model", "manifest", "plan", "files", "state", "cloud", "outputs", "moving", "telemetry", "platform"]),
    (
        "cli",
        &[
            "model",
            "manifest",
            "plan",
            "files",
            "state",
            "cloud",
            "outputs",
            "moving",
            "telemetry",
            "platform",
            "engine",
        ],
    ),
    ("emulator", &["platform"]),
    ("main", &["cli"]),
];

/// The only files outside the emulator's room that may start it.
const EMULATOR_DOORS: [&str; 2] = ["src/cli/embedded.rs", "src/cli/emulator.rs"];

/// Which rooms (or single files) may use a crate.
const FENCES: &[(&str, &[&str])] = &[
    ("reqwest", &["src/cloud/"]),
    ("rusqlite", &["src/state/"]),
    ("rusqlite_migration", &["src/state/"]),
    ("sha2", &["src/files/", "src/model/digest.rs", "src/emulator/"]),
    ("blake3", &["src/files/"]),
    ("sha1", &["src/files/"]),
    ("serde_saphyr", &["src/moving/"]),
    ("notify", &["src/files/"]),
    ("clap", &["src/cli/"]),
    ("clap_complete", &["src/cli/"]),
    ("clap_mangen", &["src/cli/"]),
    ("axum", &["src/emulator/", "src/telemetry/"]),
    ("hyper", &["src/emulator/", "src/telemetry/"]),
    ("prometheus_client", &["src/telemetry/"]),
    ("sd_notify", &["src/telemetry/"]),
    ("signal_hook", &["src/platform/"]),
    ("rustix", &["src/platform/"]),
    ("process_wrap", &["src/platform/"]),
    ("winapi_util", &["src/platform/"]),
    ("gethostname", &["src/platform/"]),
    ("dunce", &["src/platform/"]),
    ("indicatif", &["src/cli/"]),
    ("unicode_width", &["src/cli/"]),
    ("terminal_size", &["src/platform/"]),
    ("tikv_jemallocator", &["src/main.rs"]),
];

/// The house, read as text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut open = vec![root.join("src")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// The room of a file: `src/plan/step.rs` is in `plan`, `src/main.rs` in `main`, `src/lib.rs` in
/// none.
fn room(file: &str) -> Option<&str> {
    let inside = file.strip_prefix("src/")?;
    match inside.split_once('/') {
        Some((room, _)) => Some(room),
        None => inside.strip_suffix(".rs").filter(|room| *room != "lib"),
    }
}

/// The code of a file without its comments; what a comment names is no import.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The names that follow `prefix` in `code`, for `crate::plan::step` with the prefix `crate::` that
/// is `plan`; `crate::{a, b::c}` gives both.
fn named_after<'a>(code: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(list) => {
                let (mut depth, mut start) = (0, 0);
                for (i, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        ',' | '}' if depth == 0 => {
                            names.extend(first_word(list[start..i].trim()));
                            start = i + 1;
                            if c == '}' {
                                break;
                            }
                        }
                        '}' => depth -= 1,
                        _ => {}
                    }
                }
            }
            None => names.extend(first_word(rest)),
        }
    }
    names
}

fn first_word(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    Some(&text[..end]).filter(|word| !word.is_empty())
}

fn broken_walls(files: &[(String, String)]) -> Vec<String> {
    let table: BTreeMap<_, _> = IMPORTS.iter().copied().collect();
    let mut broken = Vec::new();
    for (file, text) in files {
        let Some(from) = room(file) else { continue };
        let Some(allowed) = table.get(from) else {
            broken.push(format!("{file}: the room `{from}` is not in the table"));
            continue;
        };
        let code = code(text);
        let mut to = named_after(&code, "crate::");
        to.extend(named_after(&code, "macadam::"));
        for to in to.into_iter().filter(|to| table.contains_key(to) && *to != from) {
            let door = to == "emulator" && EMULATOR_DOORS.contains(&file.as_str());
            if !allowed.contains(&to) && !door {
                broken.push(format!("{file}: {from} must not import {to}"));
            }
        }
    }
    broken
}

fn broken_fences(files: &[(String, String)]) -> Vec<String> {
    let mut broken = Vec::new();
    for (file, text) in files {
        // Tests of a room may talk to it by other means.
        let text = code(text.split("#[cfg(test)]").next().unwrap_or_default());
        let test_file = file.ends_with("tests.rs") || file.contains("/tests/");
        for (name, owners) in FENCES {
            let used = !named_after(&text, &format!("{name}::")).is_empty() || text.contains(&format!("use {name};"));
            if used && !test_file && !owners.iter().any(|owner| file.starts_with(owner)) {
                broken.push(format!("{file}: `{name}` belongs to {}", owners.join(", ")));
            }
        }
    }
    broken
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    assert_eq!(broken_walls(&sources()), Vec::<String>::new());
}

#[test]
fn crates_stay_behind_their_fences() {
    assert_eq!(broken_fences(&sources()), Vec::<String>::new());
}

#[test]
fn a_breach_is_found() {
    let house = |file: &str, text: &str| vec![(file.to_owned(), text.to_owned())];
    let walls = |file: &str, text: &str| broken_walls(&house(file, text));
    assert_eq!(walls("src/plan/x.rs", "use crate::state::Store;"), ["src/plan/x.rs: plan must not import state"]);
    assert_eq!(
        walls("src/plan/x.rs", "use crate::{model::ids, cloud::Client};"),
        ["src/plan/x.rs: plan must not import cloud"]
    );
    assert_eq!(walls("src/cli/sync.rs", "crate::emulator::start()"), ["src/cli/sync.rs: cli must not import emulator"]);
    assert_eq!(walls("src/cli/emulator.rs", "crate::emulator::start()"), Vec::<String>::new());
    assert_eq!(walls("src/attic/x.rs", ""), ["src/attic/x.rs: the room `attic` is not in the table"]);
    assert_eq!(walls("src/model/x.rs", "// see crate::state"), Vec::<String>::new());
    let fences = |file: &str, text: &str| broken_fences(&house(file, text));
    assert_eq!(fences("src/engine/x.rs", "reqwest::get(url)"), ["src/engine/x.rs: `reqwest` belongs to src/cloud/"]);
    assert_eq!(fences("src/cloud/x.rs", "reqwest::get(url)"), Vec::<String>::new());
}

#[test]
fn every_module_says_what_it_is() {
    let silent: Vec<String> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(file, _)| file).collect();
    let tests: Vec<&String> = silent.iter().filter(|file| !file.ends_with("tests.rs")).collect();
    assert!(tests.is_empty(), "without module docs: {tests:?}");
}

#[test]
fn no_file_has_more_than_five_hundred_lines_before_its_tests() {
    let length = |text: &str| text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
    let is_of_tests = |file: &str| file.ends_with("tests.rs") || file.contains("/tests/");
    let sources = sources().into_iter().filter(|(file, _)| !is_of_tests(file));
    let long: Vec<_> = sources.map(|(file, text)| (length(&text), file)).filter(|(lines, _)| *lines > 500).collect();
    assert_eq!(long, [], "split it along what it is about");
}

/// `{address:#}` is quoted for a shell; `{address}` breaks where a name has a space. A file's name
/// goes through `quoted`, into a variable of another name than that of the text around.
#[test]
fn commands_to_paste_quote_addresses_and_files() {
    const BARE: [(&str, &[&str]); 2] =
        [("macadam", &["{address}", "{owner}", "{from}"]), ("git", &["{name}", "{other}", "{lockfile}", "{path}"])];
    for (file, text) in sources() {
        for (program, bare) in BARE {
            let start = format!("`{program} ");
            for command in text.split(&start).skip(1).filter_map(|rest| rest.split(['`', '"']).next()) {
                for bare in bare {
                    assert!(!command.contains(bare), "{file}: `{program} {command}` has {bare} unquoted");
                }
            }
        }
    }
}

#[test]
fn architecture_shows_the_same_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    for (room, allowed) in IMPORTS {
        let cell = if allowed.is_empty() { "nothing of ours".to_owned() } else { allowed.join(", ") };
        let row = format!("| {room} | {cell} |");
        assert!(text.contains(&row), "ARCHITECTURE.md lacks the row: {row}");
    }
}

#[test]
fn architecture_names_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let files: Vec<String> = sources().into_iter().map(|(file, _)| file).collect();
    let is_there = |name: &str| {
        root.join(name).exists() || files.iter().any(|file| file.ends_with(&format!("/{name}")) || file == name)
    };
    let named = page.split('`').skip(1).step_by(2).filter(|span| span.ends_with(".rs"));
    assert_eq!(named.filter(|name| !is_there(name)).collect::<Vec<_>>(), Vec::<&str>::new());
    // And no room of the engine is left out.
    let rooms = files.iter().filter_map(|file| file.strip_prefix("src/engine/")?.split_once('/').map(|(room, _)| room));
    let missing: BTreeSet<&str> = rooms.filter(|room| !page.contains(&format!("| `{room}` | "))).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md lacks rooms of the engine: {missing:?}");
}

/// The types that a file defines at module level, test modules aside.
fn defined_types(text: &str) -> Vec<&str> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    // `model/ids.rs` defines ids by a macro: their name is the first line after the comment.
    let by_macro = text.split("\nnumeric_id!(").skip(1);
    let mut types: Vec<&str> = by_macro
        .filter_map(|call| call.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("///")))
        .filter_map(first_word)
        .collect();
    for line in text.lines() {
        let mut line = line;
        if let Some(rest) = line.strip_prefix("pub") {
            line = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest);
            line = line.trim_start();
        }
        let rest = ["struct ", "enum ", "trait ", "type ", "union "].iter().find_map(|word| line.strip_prefix(word));
        types.extend(rest.and_then(first_word));
    }
    types
}

/// Names that several modules may give to a type of their own.
const IDIOMS: &[&str] = &["Error"];

#[test]
fn no_type_name_is_defined_in_two_files() {
    let sources = sources();
    let mut files: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (file, text) in &sources {
        // Unit tests may have stand-ins with short names.
        if file.ends_with("tests.rs") || file.ends_with("tests_support.rs") || file.contains("/tests/") {
            continue;
        }
        for name in defined_types(text).into_iter().filter(|name| !IDIOMS.contains(name)) {
            files.entry(name).or_default().insert(file);
        }
    }
    let twice: Vec<_> = files.iter().filter(|(_, files)| files.len() > 1).collect();
    assert!(twice.is_empty(), "one name means one thing in the whole program: {twice:?}");
    assert!(files.len() > 500, "src defines only {} types: is it still read right?", files.len());
}

#[test]
fn the_glossary_names_types_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let (_, glossary) = page.split_once("## Glossary").unwrap();
    let (glossary, _) = glossary.split_once("\n## ").unwrap();
    let sources = sources();
    let defined: BTreeSet<&str> = sources.iter().flat_map(|(_, text)| defined_types(text)).collect();
    let (mut words, mut unknown) = (Vec::new(), Vec::new());
    for row in glossary.lines().filter(|line| line.starts_with("| ")).skip(2) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [word, _, name] = cells[..] else { panic!("not a row of three: {row}") };
        words.push(word);
        if !defined.contains(name.trim_matches('`')) {
            unknown.push(row);
        }
    }
    assert_eq!(unknown, Vec::<&str>::new(), "the last cell names no type of src");
    assert!(words.len() > 40, "the glossary has only {} words: is it still read right?", words.len());
    assert!(words.is_sorted(), "the glossary is not in alphabetical order: {words:?}");
    assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len(), "a word is there twice");
}

/// The Markdown pages of the repository, with their paths from its root.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = Vec::new();
    for folder in ["", "docs/", "benches/", "release/", "tests/outputs-real/"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                let path = format!("{folder}{name}");
                let text = std::fs::read_to_string(root.join(&path)).unwrap();
                pages.push((path, text));
            }
        }
    }
    pages
}

/// The anchors of a page's headings, by GitHub's rule: lower case, words joined by `-`, no
/// punctuation.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter_map(|line| line.strip_prefix('#'));
    headings
        .map(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            words.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
        })
        .collect()
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = pages();
    let mut broken = Vec::new();
    let mut links = 0;
    for (path, text) in &pages {
        for (at, _) in text.match_indices("](") {
            let Some((target, _)) = text[at + 2..].split_once(')') else { continue };
            if target.contains("://") {
                continue;
            }
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let linked = if file.is_empty() { root.join(path) } else { root.join(path).parent().unwrap().join(file) };
            let there = linked.exists()
                && (anchor.is_empty()
                    || std::fs::read_to_string(&linked).is_ok_and(|page| anchors(&page).contains(anchor)));
            if !there {
                broken.push(format!("{path}: {target}"));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
    assert!(links > 30, "the pages have only {links} links: are they still read right?");
}

/// A text of the repository.
fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn every_page_is_linked_from_another_one() {
    let pages = pages();
    let lonely = pages.iter().map(|(path, _)| path).filter(|path| {
        let name = path.rsplit('/').next().unwrap();
        let is_linked = |(other, text): &(String, String)| {
            other != *path
                && text.split("](").skip(1).any(|link| link.split([')', '#']).next().unwrap().ends_with(name))
        };
        *path != "README.md" && !pages.iter().any(is_linked)
    });
    assert_eq!(lonely.collect::<Vec<_>>(), ["CHANGELOG.md"]);
}

/// A tag of an action can be moved to other code; a commit can't.
#[test]
fn the_hosted_workflow_runs_what_decides_with_pinned_actions() {
    let workflow = read(".github/workflows/ci.yml");
    assert!(workflow.contains("- run: .ci/run\n"), "it doesn't run .ci/run");
    assert!(workflow.contains("permissions:\n  contents: read\n"), "it may do more than read");
    assert!(!workflow.contains("secrets."), "it has a secret");
    for action in workflow.lines().filter_map(|line| line.trim().strip_prefix("- uses: ")) {
        let commit = action.split(['@', ' ']).nth(1).unwrap_or_default();
        assert!(commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()), "{action} is not pinned");
    }
}

#[test]
fn the_documentation_names_every_command_and_option() {
    let args = read("src/cli/args.rs");
    let commands = read("docs/commands.md");
    let page: String = pages().into_iter().filter(|(path, _)| path != "CHANGELOG.md").map(|(_, text)| text).collect();
    let (_, list) = args.split_once("enum Command {").unwrap();
    let (list, _) = list.split_once("\n}").unwrap();
    let variants = list.lines().filter_map(|line| line.strip_prefix("    ").and_then(first_word));
    let variants: Vec<String> = variants.map(str::to_lowercase).collect();
    assert!(variants.len() > 15, "the commands are not read right any more: {variants:?}");
    let row = |name: &String| {
        [format!("| `{name}`"), format!("| `{name} "), format!("`{name} ")].map(|r| commands.contains(&r))
    };
    let missing: Vec<&String> = variants.iter().filter(|name| !row(name).contains(&true)).collect();
    assert!(missing.is_empty(), "docs/commands.md lacks {missing:?}");
    // Options: a field behind an `arg` with `long`, unless it is hidden.
    let (mut attribute, mut options) = (String::new(), Vec::new());
    for line in args.lines().map(str::trim) {
        if let Some(field) = line.strip_prefix("pub ").filter(|_| !attribute.is_empty()) {
            let is_long = attribute.contains("(long") || attribute.contains(" long");
            if is_long && !attribute.contains("hide") {
                let explicit = attribute.split_once("long = \"").and_then(|(_, rest)| rest.split_once('"'));
                let name =
                    explicit.map_or_else(|| first_word(field).unwrap().replace('_', "-"), |(name, _)| name.to_owned());
                options.push(format!("--{name}"));
            }
            attribute.clear();
        } else if line.starts_with("#[arg(") || !attribute.is_empty() && !line.starts_with("///") {
            attribute.push_str(line);
        }
    }
    assert!(options.len() > 25, "the options are not read right any more: {options:?}");
    options.retain(|option| !page.contains(option.as_str()));
    assert_eq!(options, Vec::<String>::new(), "options that no page names");
}

#[test]
fn the_documentation_names_every_key_of_json_output() {
    let page = read("docs/json.md");
    let mut keys = BTreeSet::new();
    for (_, text) in sources().iter().filter(|(file, _)| file.starts_with("src/cli/")) {
        let code = code(text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default());
        // `"key": value` of a `json!`, `insert("key"`, and `("key", json!(…))`.
        let quoted: Vec<&str> = code.split('"').collect();
        for parts in quoted.windows(3) {
            let [before, key, after] = parts else { continue };
            let is_key = after.starts_with(": ") || before.ends_with(".insert(") || after.starts_with(", json!(");
            let is_word = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            if is_key && is_word {
                keys.insert((*key).to_owned());
            }
        }
    }
    assert!(keys.len() > 90, "the keys are not read right any more: {keys:?}");
    let missing: Vec<&String> = keys.iter().filter(|key| !page.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/json.md lacks {missing:?}");
}

#[test]
fn the_documentation_names_every_route_of_the_emulator() {
    let (code, page) = (read("src/emulator/control_api.rs"), read("docs/emulator.md"));
    let routes: BTreeSet<&str> =
        code.split('"').filter(|text| text.starts_with("/emulator/") && !text.contains('*')).collect();
    assert!(routes.len() > 12, "the routes are not read right any more: {routes:?}");
    let missing: Vec<&&str> = routes.iter().filter(|route| !page.contains(*route)).collect();
    assert!(missing.is_empty(), "docs/emulator.md lacks {missing:?}");
}

#[test]
fn promises_name_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/promises.md")).unwrap();
    let mut named = 0;
    let mut file = String::new();
    // In code spans: `dir/file.rs` says where the following names of functions are.
    for span in page.split('`').skip(1).step_by(2) {
        let is_name = span.len() > 12
            && span.contains('_')
            && span.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit());
        if span.starts_with("src/") {
            assert!(root.join(span).exists(), "no file {span}");
        } else if span.ends_with(".rs") {
            file =
                std::fs::read_to_string(root.join("tests/it").join(span)).unwrap_or_else(|_| panic!("no file {span}"));
        } else if is_name && !["ambiguous_create", "possible_duplicate"].contains(&span) {
            assert!(file.contains(&format!("fn {span}(")), "no test {span} in the file named before it");
            named += 1;
        }
    }
    assert!(named > 30, "the page names only {named} tests: is it still read right?");
}
