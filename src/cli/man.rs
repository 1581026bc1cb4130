//! `macadam man DIR`: a manual page for the program and for each command.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use serde_json::json;

use super::args::ManArgs;
use super::exit::{CommandFailure, Exit};
use super::help;
use super::output::{Printer, TextStyle, paint};
use super::style::{EXIT_CODES, KEY_SOURCES};
use crate::platform::own_file::{self, How};

/// What stands at the foot of each page, which has no room for the commit and the target.
const SOURCE: &str = concat!("macadam ", env!("CARGO_PKG_VERSION"));

const PROGRAM: &str = "macadam";

/// Commands whose pages name each other.
const RELATED: [&[&str]; 9] = [
    &["init", "check", "plan", "sync"],
    &["plan", "sync", "status", "doctor"],
    &["sync", "outputs", "lockfile", "emulator"],
    &["status", "history", "open"],
    &["history", "pin", "unpin"],
    &["archive", "restore", "forget"],
    &["import", "init", "resolve", "recreate"],
    &["retry", "resolve", "status", "doctor"],
    &["completions", "man", "schema"],
];

/// Writes the pages, over earlier ones.
pub(super) fn run(output: Printer, here: &Path, args: &ManArgs) -> Result<Exit, CommandFailure> {
    let folder = own_file::named(&here.join(&args.folder));
    let failed = |path: &Path, error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => {
            let message = format!("can't write the manual pages into {}: a file is in the way", path.display());
            CommandFailure::new(Exit::Unusable, message)
                .hint("name a folder, which Macadam makes if it isn't there: `macadam man share/man/man1`")
        }
        _ => CommandFailure::new(Exit::Unusable, format!("can't write {}: {error}", path.display())),
    };
    own_file::create_usual_folder(&folder).map_err(|error| failed(&folder, &error))?;
    let mut pages = Vec::new();
    for (name, page) in pages_of(&program(), PROGRAM) {
        let path = folder.join(format!("{name}.1"));
        let write = || {
            match own_file::remove(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            own_file::open(&path, How::New)?.write_all(&page)
        };
        write().map_err(|error| failed(&path, &error))?;
        pages.push(path.display().to_string());
    }
    if output.is_json() {
        output.document(&json!({ "pages": pages }));
    } else {
        output.line(format!("{} {} pages into {}", paint(TextStyle::Good, "wrote"), pages.len(), folder.display()));
        output.line(format!("Read one with `man {}/macadam.1`.", args.folder.display()));
    }
    Ok(Exit::Success)
}

/// The program, for which there are pages. `help` shows those of others.
fn program() -> clap::Command {
    let mut program = help::command().disable_help_subcommand(true);
    program.build();
    program
}

/// The page of a command and those of the commands below it, by their names.
fn pages_of(command: &clap::Command, name: &str) -> Vec<(String, Vec<u8>)> {
    let mut pages = vec![(name.to_owned(), page_of(command, name))];
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        pages.extend(pages_of(below, &format!("{name}-{}", below.get_name())));
    }
    pages
}

/// The page of one command. clap_mangen writes what clap knows, and this the rest, as
/// `man 7 man-pages` wants it.
fn page_of(command: &clap::Command, name: &str) -> Vec<u8> {
    let man = clap_mangen::Man::new(command.clone()).title(name).source(SOURCE);
    let has_options = command.get_arguments().any(|arg| !arg.is_hide_set());
    let mut page = Vec::new();
    // Writing into memory can't fail.
    let _ = man.render_title(&mut page);
    let _ = man.render_name_section(&mut page);
    page.extend(synopsis(command, &man).into_bytes());
    if command.get_long_about().is_some() {
        let _ = man.render_description_section(&mut page);
    }
    if has_options {
        let _ = man.render_options_section(&mut page);
    }
    if command.get_subcommands().any(|below| below.get_name() != "help") {
        let _ = man.render_subcommands_section(&mut page);
    }
    let mut every = help::options_alone();
    every.build();
    let _ = clap_mangen::Man::new(every).render_options_section(&mut page);
    page.extend(exit_status(name).into_bytes());
    if name == PROGRAM {
        page.extend(section("API KEY", &[escaped(KEY_SOURCES)]).into_bytes());
    }
    let of_command = name.strip_prefix(PROGRAM).unwrap_or_default().trim_start_matches('-');
    let command_word = of_command.split('-').next().unwrap_or_default();
    if let Some(example) = help::example(command_word) {
        let lines = example.lines().map(|line| escaped(line.trim_start()));
        let lines: Vec<String> = [".nf".to_owned()].into_iter().chain(lines).chain([".fi".to_owned()]).collect();
        page.extend(section("EXAMPLES", &lines).into_bytes());
    }
    page.extend(see_also(command_word, of_command).into_bytes());
    page
}

/// The synopsis, with what clap_mangen leaves out: the values of options, and that an argument can
/// be given several times.
fn synopsis(command: &clap::Command, man: &clap_mangen::Man) -> String {
    let mut text = Vec::new();
    let _ = man.render_synopsis_section(&mut text);
    let mut text = String::from_utf8_lossy(&text).into_owned();
    let several =
        command.get_positionals().filter(|arg| arg.get_num_args().is_some_and(|range| range.max_values() > 1));
    for name in several.filter_map(|arg| arg.get_value_names()?.first()) {
        for end in [">", "]"] {
            text = text.replace(&format!("\\fI{name}\\fR{end}"), &format!("\\fI{name}\\fR{end}..."));
        }
    }
    for option in command.get_opts() {
        let (Some(long), Some(value)) = (option.get_long(), option.get_value_names().and_then(<[_]>::first)) else {
            continue;
        };
        let form = format!("\\fB{}\\fR", escaped(&format!("--{long}")));
        let is_optional = option.get_num_args().is_some_and(|range| range.min_values() == 0);
        let whole = match is_optional {
            true => format!("{form}[=\\fI{value}\\fR]]"),
            false => format!("{form} \\fI{value}\\fR]"),
        };
        text = text.replacen(&format!("{form}]"), &whole, 1);
    }
    text
}

fn exit_status(name: &str) -> String {
    let has_plan = [PROGRAM, "macadam-plan"].contains(&name);
    let codes = EXIT_CODES.iter().filter(|(_, about)| has_plan || !about.starts_with("`plan "));
    let lines: Vec<String> =
        codes.flat_map(|(code, about)| [".TP".to_owned(), format!("\\fB{code}\\fR"), escaped(about)]).collect();
    section("EXIT STATUS", &lines)
}

/// The pages of commands that have to do with this one, and the program's.
fn see_also(command: &str, whole: &str) -> String {
    let mut pages: BTreeSet<String> = RELATED
        .iter()
        .filter(|group| group.contains(&command))
        .flat_map(|group| group.iter().filter(|other| **other != command))
        .map(|other| format!("{PROGRAM}-{other}"))
        .collect();
    if whole != command {
        pages.insert(format!("{PROGRAM}-{command}"));
    }
    let first = if whole.is_empty() { "git".to_owned() } else { PROGRAM.to_owned() };
    let pages: Vec<String> = [first].into_iter().chain(pages).map(|page| format!("{}(1)", escaped(&page))).collect();
    section("SEE ALSO", &[pages.join(",\n")])
}

fn section(heading: &str, lines: &[String]) -> String {
    format!(".SH \"{heading}\"\n{}\n", lines.join("\n"))
}

/// Text as troff shows it unchanged.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_that_is_named_is_there_and_its_foot_is_short() {
        let pages = pages_of(&program(), "macadam");
        let text = |page: &[u8]| String::from_utf8_lossy(page).into_owned();
        for (name, page) in &pages {
            let foot = format!("\"{SOURCE}\"");
            assert!(text(page).lines().any(|line| line.starts_with(".TH ") && line.contains(&foot)), "{name}");
            let named = text(page).replace("\\-", "-");
            let others = named.lines().filter_map(|line| line.trim_end_matches(',').strip_suffix("(1)"));
            for other in others.filter(|other| *other != "git") {
                assert!(pages.iter().any(|(name, _)| name == other), "{name}: {other}");
            }
        }
    }

    #[test]
    fn every_page_has_what_a_reader_looks_for_and_says_nothing_twice() {
        for (name, page) in pages_of(&program(), PROGRAM) {
            let page = String::from_utf8(page).unwrap();
            for heading in ["NAME", "SYNOPSIS", "OPTIONS FOR EVERY COMMAND", "EXIT STATUS", "SEE ALSO"] {
                let spelt = [format!(".SH {heading}\n"), format!(".SH \"{heading}\"\n")];
                assert_eq!(spelt.iter().map(|line| page.matches(line).count()).sum::<usize>(), 1, "{name}: {heading}");
            }
            for form in ["\n.TP\n\\fB\\-\\-manifest\\fR ", "\n.TP\n\\fB64\\fR\n"] {
                assert!(page.contains(form), "{name} lacks {form}: {page}");
            }
            assert!(!page.contains(".SH EXTRA") && !page.contains("macadam help options"), "{name}");
            let about = page.split(" \\- ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
            assert_eq!(page.matches(about).count(), 1, "{name}: {about}");
            assert_eq!(page.contains("EXAMPLES"), name != PROGRAM, "{name}");
        }
    }

    #[test]
    fn a_synopsis_has_the_values_of_options() {
        let pages = pages_of(&program(), "macadam");
        let page = |name: &str| pages.iter().find(|(page, _)| page == name).unwrap().1.clone();
        let sync = String::from_utf8(page("macadam-sync")).unwrap();
        for form in [
            r"[\fB\-\-require\-branch\fR \fIBRANCH\fR]",
            r"[\fB\-\-uploads\fR \fIN\fR]",
            r"[\fB\-\-once\fR]",
            r"[\fB\-\-wait\-moderation\fR[=\fIDURATION\fR]]",
        ] {
            assert!(sync.contains(form), "{form}: {sync}");
        }
    }

    #[test]
    fn an_argument_that_can_be_given_several_times_has_dots() {
        let pages = pages_of(&program(), "macadam");
        for (name, form) in [
            ("macadam-pin", r"<\fIADDRESS\fR>... <\fIREVISION\fR>"),
            ("macadam-plan", r"[\fIADDRESS\fR]..."),
            ("macadam-resolve", r"<\fIADDRESS\fR> "),
        ] {
            let (_, page) = pages.iter().find(|(page, _)| page == name).unwrap();
            let page = String::from_utf8_lossy(page);
            assert!(page.contains(form), "{name}: {page}");
        }
    }
}
