//! `macadam init`: writes the files of a new project, and overwrites nothing. At a terminal it asks
//! for what the manifest needs; elsewhere options say it, or a person fills it in later.

use std::collections::BTreeMap;
use std::io::{BufRead as _, ErrorKind, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::args::InitArgs;
use super::exit::{CommandFailure, Exit};
use super::output::{Printer, TextStyle, fitted, paint};
use super::owner::OwnerText;
use super::question;
use super::schema_file::{self, SCHEMA};
use super::{credential, env_file};
use crate::engine::commands::moving;
use crate::engine::workspace::git;
use crate::engine::workspace::git::ask::{INHERITED, Tracking, setting, tracking};
use crate::engine::workspace::project::{DEFAULT_MANIFEST, PRIVATE_IGNORE, Project};
use crate::engine::workspace::state_folder::StateFolder;
use crate::files;
use crate::manifest::{self, Diagnostic};
use crate::model::asset::FileFormat;
use crate::model::desired::{FileSelection, GlobPattern};
use crate::model::ids::{Creator, UserId};
use crate::model::output::Output;
use crate::model::path::{PathError, ProjectPath};
use crate::model::proposed;
use crate::model::toml_text::TomlText;
use crate::moving::escaped;
use crate::platform::own_file::{self, How};
use crate::platform::program;
use crate::state::lockfile::driver;

const MANIFEST: &str = include_str!("init/assets.toml");
const ATTRIBUTES: &str = include_str!("init/gitattributes");

/// The file that keeps the key's file out of git.
const IGNORE: &str = ".gitignore";

/// Stands for the lockfile's name in [`ATTRIBUTES`].
const LOCKFILE: &str = "LOCKFILE";

/// The example of owners in [`MANIFEST`], which the real one replaces.
const OWNERS: &str = "# user_id = 1234567\n# group_id = 7654321\n";

/// The example of a glob in [`MANIFEST`], which real ones follow.
const GLOB_EXAMPLE: &str = "# exclude = [\"ui/wip/**\"]\n";

/// The most globs that are proposed: with more, a person chooses better alone.
const MAX_PROPOSED: usize = 12;

/// The longest wait for `git config`.
const PATIENCE: Duration = Duration::from_secs(10);

/// `init --emulator`.
pub(super) fn no_rehearsal() -> CommandFailure {
    CommandFailure::new(Exit::Usage, "`init` writes the files of a real project, so it can't be rehearsed")
        .hint("run it without --emulator; a rehearsal needs a manifest")
}

/// What the new manifest says beyond the template.
#[derive(Debug, Default)]
struct InitChoices {
    creator: Option<Creator>,
    globs: Vec<String>,
    output: Option<String>,
    merge_driver: bool,
}

/// Writes what is missing in `folder`.
pub(super) fn run(
    output: Printer,
    folder: &Path,
    manifest: Option<&Path>,
    args: &InitArgs,
) -> Result<Exit, CommandFailure> {
    let manifest = manifest.unwrap_or(Path::new(DEFAULT_MANIFEST));
    let manifest = own_file::named(&folder.join(manifest));
    let root = manifest.parent().unwrap_or(folder).to_owned();
    let name = manifest.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let above = root.parent().and_then(|above| Project::find_files(None, above).ok()).map(|found| found.manifest);
    if let Some(above) = &above {
        output.warning(format!(
            "{} is the manifest of a project already, in a folder above. Commands in this folder use the new one from now on",
            above.display()
        ));
    }
    let in_git = matches!(StateFolder::of(&root), Ok(StateFolder::OfGit(_)));
    let args = &InitArgs {
        globs: args.globs.iter().map(|glob| with_slashes(glob)).collect(),
        output: args.output.as_deref().map(with_slashes),
        ..args.clone()
    };
    if let Some((problem, advice)) = args.output.as_deref().and_then(output_problem) {
        return Err(CommandFailure::new(Exit::Usage, format!("--output: {problem}")).hint(advice));
    }
    if !manifest.exists() && !args.yes && !starts_anew(output, folder, &root)? {
        return Ok(Exit::Unreconciled);
    }
    let choices = choices(output, &root, !manifest.exists(), in_git, args);
    refuse_unusable(args, &name)?;
    let stem = manifest.file_stem().unwrap_or_default().to_string_lossy();
    let attributes = ATTRIBUTES.replace(LOCKFILE, &format!("{stem}.lock.toml"));
    let shown = |path: &Path| with_slashes(&path.strip_prefix(folder).unwrap_or(path).to_string_lossy());
    let mut files = vec![
        (manifest.clone(), written_manifest(&choices), How::New),
        (root.join(".gitattributes"), attributes.clone(), How::New),
    ];
    if !manifest.exists() {
        files.push((root.join(SCHEMA), schema_file::text(), How::New));
    }
    let env_file = root.join(env_file::ENV_FILE);
    if !manifest.exists() && tracking(&env_file) != Ok(Some(Tracking::Ignored)) {
        files.push((root.join(IGNORE), format!("{}\n", env_file::ENV_FILE), How::New));
    }
    // In a git checkout the state isn't here. The command that makes the state reports problems.
    let existing = root.ancestors().find(|folder| folder.is_dir()).unwrap_or(folder);
    if let Ok(StateFolder::Beside(_)) = StateFolder::of(existing) {
        own_file::create_usual_folder(&root).map_err(|error| failed(&root, &error))?;
        let private = StateFolder::beside(&root);
        own_file::create_private_folder(private.path()).map_err(|error| failed(private.path(), &error))?;
        files.push((private.path().join(".gitignore"), PRIVATE_IGNORE.to_owned(), How::NewPrivate));
    }
    let (mut written, mut kept) = (Vec::new(), Vec::new());
    for (path, content, how) in files {
        if create(&path, &content, how)? { written.push(shown(&path)) } else { kept.push(shown(&path)) }
    }
    let asks = args.creator.is_some() || !args.globs.is_empty() || args.output.is_some();
    if asks && !written.iter().any(|path| path.ends_with(&name)) {
        output.warning(format!(
            "{name} was there already, so --creator, --glob and --output changed nothing: edit it by hand"
        ));
    }
    let missing = missing_attributes(&root.join(".gitattributes"), &attributes);
    let was_set = || matches!(setting(&manifest, driver::SETTING), Ok(Some(_)));
    let has_driver = if choices.merge_driver { set_driver(output, &root) } else { in_git && was_set() };
    if output.is_json() {
        output.document(&json!({
            "written": written, "kept": kept, "missing_attributes": missing, "merge_driver": has_driver,
        }));
        return Ok(Exit::Success);
    }
    for path in &written {
        output.line(format!("{} {path}", paint(TextStyle::Good, "wrote")));
    }
    // Who only wants the merge driver knows the rest.
    let is_about_driver = args.merge_driver && !asks && !written.iter().any(|path| path.ends_with(&name));
    for path in kept.iter().filter(|_| !is_about_driver) {
        output.line(format!("{} {path} (already there, not overwritten)", paint(TextStyle::Quiet, "kept")));
    }
    if !missing.is_empty() {
        output.line("");
        output.line("Add these lines to .gitattributes:");
        missing.iter().for_each(|line| output.line(format!("  {line}")));
    }
    if is_about_driver && has_driver {
        let told = format!("git merges {stem}.lock.toml by Macadam in this clone");
        output.line(format!("{} {told}", paint(TextStyle::Good, "OK:")));
        return Ok(Exit::Success);
    }
    if !credential::stays_out_of_git(&root) {
        output.line("");
        output.line(format!(
            "Before you write your API key into .env, keep that file out of git: {}.",
            credential::how_to_ignore(&root)
        ));
    }
    let is_new = written.iter().any(|path| path.ends_with(&name));
    let folder_of_project = match shown(&root) {
        here if here.is_empty() => ".".to_owned(),
        folder => folder,
    };
    tell_next(output, &shown(&manifest), &folder_of_project, is_new.then_some(&choices));
    if !has_driver {
        output.line("");
        output.line(match in_git {
            true => "Run this once in each clone, so that git can merge the lockfile:",
            false => "Once it is a git repository, and once in each clone, so that git can merge the lockfile:",
        });
        output.to_copy(format!("  {}", driver::SET_UP));
    }
    Ok(Exit::Success)
}

/// Refuses options that make a manifest which no command could use.
fn refuse_unusable(args: &InitArgs, name: &str) -> Result<(), CommandFailure> {
    // Without an owner a person writes one later.
    let creator = args.creator.or_else(|| UserId::new(1).ok().map(Creator::User));
    let choices =
        InitChoices { creator, globs: args.globs.clone(), output: args.output.clone(), ..InitChoices::default() };
    let Err(found) = manifest::parse(written_manifest(&choices).as_bytes(), name) else { return Ok(()) };
    let Some(Diagnostic { message, hint, .. }) = found.into_iter().next() else { return Ok(()) };
    let failure = CommandFailure::new(Exit::Usage, message);
    Err(match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    })
}

/// Whether no other tool's files are in `root`, or the person at the terminal wants a new start
/// anyway. It would upload again what the tool uploaded.
fn starts_anew(output: Printer, folder: &Path, root: &Path) -> Result<bool, CommandFailure> {
    let shown = |name: &String| {
        let file = root.join(name);
        with_slashes(&file.strip_prefix(folder).unwrap_or(&file).to_string_lossy())
    };
    let found: Vec<String> = moving::files_of_tools(root).iter().map(shown).collect();
    let are = match found.len() {
        0 => return Ok(true),
        1 => "is",
        _ => "are",
    };
    let imports: Vec<String> =
        found.iter().map(|file| format!("`macadam import --from {}`", proposed::quoted(file))).collect();
    let message = format!("{} {are} here, so another tool may have uploaded these assets already", found.join(" and "));
    let import = format!("{} takes its assets over without uploading them again", imports.join(" or "));
    if question::asks(output, false) {
        let question = format!("{message}. {import}. With a new start, the first sync uploads all of them again.");
        return Ok(question::ask_or(output, &[question], "Nothing was written."));
    }
    Err(CommandFailure::new(Exit::Unreconciled, format!("{message}; nothing was written"))
        .hint(format!("{import}; with `--yes`, `init` starts anew, and the first sync uploads all of them again")))
}

/// The steps that follow, each with its commands: `name` is the manifest, `folder` the project's,
/// and `choices` are what a new manifest says.
fn tell_next(output: Printer, name: &str, folder: &str, choices: Option<&InitChoices>) {
    let has_owner = choices.is_none_or(|choices| choices.creator.is_some());
    let has_assets = choices.is_none_or(|choices| !choices.globs.is_empty());
    let first = match (has_owner, has_assets) {
        (true, true) => None,
        (true, false) => Some(format!("List your assets in {name}.")),
        (false, true) => Some(format!("Put your user or group ID into {name}.")),
        (false, false) => Some(format!("Put your user or group ID into {name}, and list your assets there.")),
    };
    let option =
        if name == DEFAULT_MANIFEST { String::new() } else { format!(" --manifest {}", proposed::quoted(name)) };
    let macadam = |command: &str| vec![format!("macadam {command}{option}")];
    let commands = [
        ("Check everything, offline:", macadam("check")),
        ("See what a sync would do, and why:", macadam("plan")),
        ("Rehearse. This sends nothing to Roblox:", macadam("sync --once --emulator")),
        // Before a command the key would stay in the history of the shell.
        ("Write your API key into .env, as a line `ROBLOX_API_KEY=…`, and upload:", macadam("sync --once")),
        (
            "Commit all of it: the assets' files, and the lockfile, without which another machine uploads everything again:",
            vec![format!("git add {}", proposed::quoted(folder)), "git commit -m \"assets\"".to_owned()],
        ),
    ];
    let steps = first.map(|text| (text, Vec::new())).into_iter();
    let steps = steps.chain(commands.map(|(text, commands)| (text.to_owned(), commands)));
    output.line("");
    output.line("Next:");
    for (number, (text, commands)) in (1..).zip(steps) {
        output.line(format!("  {number}. {text}"));
        commands.iter().for_each(|command| output.to_copy(format!("     {command}")));
    }
}

/// What the options say, and at a terminal the person.
fn choices(output: Printer, root: &Path, is_new: bool, in_git: bool, args: &InitArgs) -> InitChoices {
    let InitArgs { creator, globs, output: path, merge_driver, yes: _ } = args.clone();
    let mut choices = InitChoices { creator, globs, output: path, merge_driver };
    let asks = !output.is_json() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !asks {
        return choices;
    }
    if is_new && choices.creator.is_none() {
        choices.creator = ask_creator(output);
    }
    if is_new && choices.globs.is_empty() {
        let found = proposed(root);
        if !found.is_empty() {
            output.say("Files that Roblox accepts:");
            let width = found.keys().map(|glob| glob.chars().count()).max().unwrap_or(0);
            let numbers = found.values().map(|count| count.to_string().len()).max().unwrap_or(0);
            for (glob, count) in &found {
                let noun = if *count == 1 { "file" } else { "files" };
                output.say(format!("  {glob:<width$}    {count:>numbers$} {noun}"));
            }
            if agrees("List them in the manifest? [Y/n] ") {
                choices.globs = found.into_keys().collect();
            }
        }
    }
    if is_new && choices.output.is_none() {
        choices.output = ask_output(output);
    }
    if in_git && !choices.merge_driver {
        choices.merge_driver = agrees("Let git merge the lockfile by Macadam in this clone? [Y/n] ");
    }
    choices
}

/// Asks who owns the assets, until the answer is one or empty.
fn ask_creator(output: Printer) -> Option<Creator> {
    output.say("Who owns the assets? Paste the address of your profile or of the group's page:");
    output.say("roblox.com/users/1234567/profile or roblox.com/communities/7654321/…");
    loop {
        let answer = ask("The address, or user:1234567 or group:7654321 (Enter: later): ");
        if answer.is_empty() {
            return None;
        }
        match OwnerText::read(&answer) {
            OwnerText::Is(creator) => return Some(creator),
            OwnerText::Number(number) => match ask(&format!("Is {number} a user or a group? [u/g] ")).as_str() {
                "u" | "U" | "user" => return format!("user:{number}").parse().ok(),
                "g" | "G" | "group" => return format!("group:{number}").parse().ok(),
                _ => output.say("Answer u for a user, or g for a group."),
            },
            other => output.say(format!("That isn't an owner: {}.", other.advice())),
        }
    }
}

/// Asks for the output, until the answer is one or empty.
fn ask_output(output: Printer) -> Option<String> {
    loop {
        let answer =
            with_slashes(&ask("A file with the asset IDs for your code, such as src/assets.luau (Enter: none): "));
        match answer.as_str() {
            "" | "n" | "N" | "no" => return None,
            path => match output_problem(path) {
                None => return Some(answer),
                Some((problem, advice)) => output.say(format!("That isn't a file for asset IDs: {problem}; {advice}.")),
            },
        }
    }
}

const OUTPUT_ADVICE: &str = "write a path whose name ends in .luau, .lua, .ts, .d.ts or .json";
const PLACE_ADVICE: &str = "run `macadam init` in a folder that has both the assets and the code";

/// Returns a path as the manifest has it: on Windows a person types backslashes.
fn with_slashes(path: &str) -> String {
    if cfg!(windows) { path.replace('\\', "/") } else { path.to_owned() }
}

/// Returns why this can't be the path of an output, and what to do; `None` if it can.
fn output_problem(path: &str) -> Option<(String, &'static str)> {
    match ProjectPath::new(path) {
        Err(error @ (PathError::Parent { .. } | PathError::Absolute { .. })) => Some((error.to_string(), PLACE_ADVICE)),
        Err(error) => Some((error.to_string(), OUTPUT_ADVICE)),
        Ok(path) if Output::new(path.clone()).is_none() => {
            Some((format!("`{path}` doesn't end like a file for asset IDs"), OUTPUT_ADVICE))
        }
        Ok(_) => None,
    }
}

fn ask(question: &str) -> String {
    let _ = write!(std::io::stderr(), "{} ", fitted(question.trim_end()));
    let mut answer = String::new();
    // Without an answer it is as if Enter had been pressed.
    let _ = std::io::stdin().lock().read_line(&mut answer);
    answer.trim().to_owned()
}

/// Asks until the answer is yes or no. Enter is yes.
fn agrees(question: &str) -> bool {
    loop {
        match ask(question).to_lowercase().as_str() {
            "" | "y" | "yes" => return true,
            "n" | "no" => return false,
            _ => {}
        }
    }
}

/// Globs for the files that are there, one for each folder at the top and extension, with how many
/// files each finds.
fn proposed(root: &Path) -> BTreeMap<String, u64> {
    let extensions = FileFormat::ALL.into_iter().flat_map(FileFormat::extensions);
    let glob = |extension: &&str| GlobPattern {
        name: (*extension).to_owned(),
        path: format!("**/*.{extension}"),
        exclude: vec!["**/node_modules/**".to_owned(), "**/Packages/**".to_owned()],
    };
    let selection = FileSelection { explicit: Vec::new(), globs: extensions.map(glob).collect() };
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for path in files::walk(root, &selection).files.keys() {
        let Some(extension) = path.extension() else { continue };
        let pattern = match path.as_str().split_once('/') {
            Some((folder, _)) => format!("{}/**/*.{extension}", escaped(folder)),
            None => format!("*.{extension}"),
        };
        *found.entry(pattern).or_default() += 1;
    }
    if found.len() > MAX_PROPOSED { BTreeMap::new() } else { found }
}

/// The manifest, with what is known filled in.
fn written_manifest(choices: &InitChoices) -> String {
    let mut text = MANIFEST.to_owned();
    if let Some(creator) = choices.creator {
        let owner = match creator {
            Creator::User(id) => format!("user_id = {id}\n"),
            Creator::Group(id) => format!("group_id = {id}\n"),
        };
        text = text.replace(OWNERS, &owner);
    }
    let mut globs = String::new();
    for (number, glob) in choices.globs.iter().enumerate() {
        let name = glob_name(glob, number, &choices.globs);
        globs.push_str(&format!("\n[globs.{name}]\npath = {}\n", TomlText(glob)));
    }
    text = text.replace(GLOB_EXAMPLE, &format!("{GLOB_EXAMPLE}{globs}"));
    if let Some(path) = &choices.output {
        text.push_str(&format!("\n# Asset IDs for the game's code.\n[[outputs]]\npath = {}\n", TomlText(path)));
    }
    text
}

/// A short name for a glob: its first folder, with its extension where two have the same folder.
fn glob_name(glob: &str, number: usize, all: &[String]) -> String {
    let folder = |glob: &str| glob.split('/').next().unwrap_or_default().to_owned();
    let first = folder(glob);
    let is_word = !first.is_empty() && first.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let extension = glob.rsplit('.').next().filter(|end| end.bytes().all(|b| b.is_ascii_alphanumeric()));
    match (is_word, extension) {
        (true, Some(extension)) if all.iter().filter(|other| folder(other) == first).count() > 1 => {
            format!("{first}-{extension}")
        }
        (true, _) => first,
        (false, Some(extension))
            if all.iter().filter(|other| other.ends_with(&format!(".{extension}"))).count() == 1 =>
        {
            extension.to_owned()
        }
        (false, _) => format!("files-{}", number + 1),
    }
}

/// The lines of `wanted` whose pattern the file at `path` doesn't have. A file that can't be read
/// lacks none: it says nothing.
fn missing_attributes(path: &Path, wanted: &str) -> Vec<String> {
    let pattern = |line: &str| line.split_whitespace().next().filter(|word| !word.starts_with('#')).map(str::to_owned);
    let Ok(bytes) = own_file::read(path, 1 << 20) else { return Vec::new() };
    let text = String::from_utf8_lossy(&bytes);
    let present: Vec<String> = text.lines().filter_map(pattern).collect();
    let lines = wanted.lines().filter(|line| pattern(line).is_some_and(|pattern| !present.contains(&pattern)));
    lines.map(str::to_owned).collect()
}

/// Tells git of the merge driver, in this clone.
fn set_driver(output: Printer, root: &Path) -> bool {
    // Where git looks for itself, files in the project may lead it to another repository.
    let Some(repository) = git::own_folder(root) else {
        output.warning(format!("couldn't set git's merge driver: {} isn't in a git checkout", root.display()));
        return false;
    };
    let set = ["config", driver::SETTING, driver::COMMAND].map(AsRef::as_ref);
    let arguments = ["--git-dir".as_ref(), repository.as_os_str()].into_iter().chain(set);
    let asked = program::ask("git", arguments, &[], INHERITED, b"", (PATIENCE, 1 << 16));
    match asked {
        Ok(answer) if answer.status.success() => true,
        Ok(answer) => {
            output.warning(format!("git did not take the merge driver: {}", answer.complained.trim()));
            false
        }
        Err(error) => {
            output.warning(format!("couldn't set git's merge driver: {error}"));
            false
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> CommandFailure {
    let failure = CommandFailure::new(Exit::Unusable, format!("write {}: {error}", path.display()));
    match own_file::hint(error) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Creates a file unless there is one.
fn create(path: &Path, content: &str, how: How) -> Result<bool, CommandFailure> {
    let failed = |error: &std::io::Error| failed(path, error);
    if let Some(folder) = path.parent() {
        own_file::create_usual_folder(folder).map_err(|error| failed(&error))?;
    }
    match own_file::open(path, how) {
        Ok(mut file) => {
            file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| failed(&error))?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_have_the_places_that_are_filled_in() {
        assert!(MANIFEST.starts_with(&format!("#:schema ./{SCHEMA}\n")));
        assert!(MANIFEST.contains(OWNERS) && MANIFEST.contains(GLOB_EXAMPLE) && ATTRIBUTES.contains(LOCKFILE));
    }

    #[test]
    fn globs_have_names_of_their_own() {
        let globs: Vec<String> = ["ui/**/*.png", "ui/**/*.jpg", "sounds/**/*.ogg", "*.png", "my art/**/*.png", "*.fbx"]
            .map(str::to_owned)
            .to_vec();
        let names: Vec<String> = globs.iter().enumerate().map(|(at, glob)| glob_name(glob, at, &globs)).collect();
        assert_eq!(names, ["ui-png", "ui-jpg", "sounds", "files-4", "files-5", "fbx"]);
    }
}
