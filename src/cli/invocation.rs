//! How the program was called, as far as every message of the run depends on it: the options that a
//! proposed command repeats, and whether the run is a rehearsal.
//!
//! Set once, before the first message. Read next: [`super::output`], which prints messages.

use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use super::args::Global;
use super::credential;
use crate::cloud::base::BaseUrl;
use crate::engine::workspace::project::Project;
use crate::model::proposed::RepeatedOptions;
use crate::platform::failpoint;

/// Stands before each line of a rehearsal.
const MARK: &str = "[rehearsal] ";

#[derive(Debug, Default)]
struct Invocation {
    options: RepeatedOptions,
    is_rehearsal: bool,
    /// The server on this machine that stands in for Roblox.
    local_server: Option<String>,
}

static INVOCATION: OnceLock<Invocation> = OnceLock::new();

/// Remembers the options of this run.
pub(super) fn remember(global: &Global) {
    let mut options = RepeatedOptions::default();
    let paths = [("--manifest", &global.manifest), ("--state", &global.state)];
    for (name, path) in paths {
        if let Some(path) = path {
            options.option(name, &path.to_string_lossy());
        }
    }
    // A key in place of its file's name is never repeated.
    if let Some(path) = global.api_key_file.as_deref().filter(|path| credential::is_file(path)) {
        options.option("--api-key-file", &path.to_string_lossy());
    }
    if let Some(url) = named_server(global) {
        options.option("--api-url", url);
    }
    if global.emulator {
        options.flag("--emulator");
    }
    if let Some(folder) = project_folder(global.manifest.as_deref()) {
        options.folder(&folder.to_string_lossy());
    }
    // It fails only if an earlier run of this process was remembered, in a test.
    let _ = INVOCATION.set(Invocation { options, is_rehearsal: global.emulator, local_server: local_server(global) });
}

/// The folder of the manifest, if this run was started elsewhere.
fn project_folder(named: Option<&Path>) -> Option<PathBuf> {
    if let Some(manifest) = named {
        let folder = manifest.parent()?;
        return folder.components().any(|part| part != Component::CurDir).then(|| folder.to_owned());
    }
    let here = std::env::current_dir().ok()?;
    let root = Project::find_files(None, &here).ok()?.root;
    let below = here.strip_prefix(&root).ok()?.components().count();
    (below > 0).then(|| std::iter::repeat_n("..", below).collect())
}

/// The server that `--api-url` names.
pub(super) fn named_server(global: &Global) -> Option<&str> {
    global.api_url.as_deref().filter(|_| !failpoint::stands_in())
}

/// The server that `--api-url` names, if it is on this machine.
fn local_server(global: &Global) -> Option<String> {
    let base: BaseUrl = named_server(global)?.parse().ok()?;
    base.is_loopback().then(|| base.to_string())
}

/// Returns where this run uploads to, as a question names it.
pub(super) fn destination() -> String {
    match INVOCATION.get() {
        Some(Invocation { is_rehearsal: true, .. }) => "the built-in emulator".to_owned(),
        Some(Invocation { local_server: Some(server), .. }) => format!("{server} (not Roblox)"),
        _ => "Roblox".to_owned(),
    }
}

/// Returns the options that a proposed command repeats.
pub(super) fn repeated() -> RepeatedOptions {
    INVOCATION.get().map(|invocation| invocation.options.clone()).unwrap_or_default()
}

/// Returns whether this run is a rehearsal against the built-in emulator.
pub(super) fn is_rehearsal() -> bool {
    INVOCATION.get().is_some_and(|invocation| invocation.is_rehearsal)
}

/// Returns what stands before each line of this run.
pub(super) fn mark() -> &'static str {
    if is_rehearsal() { MARK } else { "" }
}

/// Returns a message with the options of this run in the commands that it proposes.
pub(super) fn with_options(text: &str) -> Cow<'_, str> {
    match INVOCATION.get() {
        Some(invocation) => invocation.options.add_to(text),
        None => Cow::Borrowed(text),
    }
}

/// Returns lines with the mark of a rehearsal before each that isn't empty.
pub(super) fn marked(text: &str) -> Cow<'_, str> {
    let mark = mark();
    if mark.is_empty() {
        return Cow::Borrowed(text);
    }
    let lines: Vec<String> =
        text.split('\n').map(|line| if line.is_empty() { String::new() } else { format!("{mark}{line}") }).collect();
    Cow::Owned(lines.join("\n"))
}

/// The keys of a document that hold advice for a person.
const ADVICE: [&str; 4] = ["hint", "note", "notes", "old_assets"];

/// Adds to a document what [`with_options`] adds to a message, and whether it is of a rehearsal.
pub(super) fn complete(document: &mut Value) {
    advise(document, false);
    if let (true, Some(fields)) = (is_rehearsal(), document.as_object_mut()) {
        fields.insert("rehearsal".to_owned(), Value::Bool(true));
    }
}

fn advise(value: &mut Value, is_advice: bool) {
    match value {
        Value::String(text) if is_advice => *text = with_options(text).into_owned(),
        Value::Array(values) => values.iter_mut().for_each(|value| advise(value, is_advice)),
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(key, value)| advise(value, ADVICE.contains(&key.as_str())));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
