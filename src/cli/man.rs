//! `macadam man DIR`: a manual page for the program and for each command.

use std::io::Write as _;
use std::path::Path;

use serde_json::json;

use super::args::ManArgs;
use super::exit::{CommandFailure, Exit};
use super::help;
use super::output::{Printer, TextStyle, paint};
use crate::platform::own_file::{self, How};

/// What stands at the foot of each page, which has no room for the commit and the target.
const SOURCE: &str = concat!("macadam ", env!("CARGO_PKG_VERSION"));

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
    for (name, page) in pages_of(&program(), "macadam") {
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
    let mut page = Vec::new();
    // Writing into memory can't fail.
    let _ = clap_mangen::Man::new(command.clone()).title(name).source(SOURCE).render(&mut page);
    let several =
        command.get_positionals().filter(|arg| arg.get_num_args().is_some_and(|range| range.max_values() > 1));
    for name in several.filter_map(|arg| arg.get_value_names()?.first()) {
        // The page's own form says nothing of an argument that can be given several times.
        let text = String::from_utf8_lossy(&page).into_owned();
        let with_dots =
            |text: String, end: &str| text.replace(&format!("\\fI{name}\\fR{end}"), &format!("\\fI{name}\\fR{end}..."));
        page = with_dots(with_dots(text, ">"), "]").into_bytes();
    }
    for option in command.get_opts() {
        // Its synopsis leaves the values of options out.
        let (Some(long), Some(value)) = (option.get_long(), option.get_value_names().and_then(<[_]>::first)) else {
            continue;
        };
        let form = format!("\\fB\\-\\-{}\\fR", long.replace('-', "\\-"));
        let text = String::from_utf8_lossy(&page).into_owned();
        page = text.replacen(&format!("{form}]"), &format!("{form} \\fI{value}\\fR]"), 1).into_bytes();
    }
    let mut pages = vec![(name.to_owned(), page)];
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        pages.extend(pages_of(below, &format!("{name}-{}", below.get_name())));
    }
    pages
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
            for other in named.lines().filter_map(|line| line.strip_suffix("(1)")) {
                assert!(pages.iter().any(|(name, _)| name == other), "{name}: {other}");
            }
        }
    }

    #[test]
    fn a_synopsis_has_the_values_of_options() {
        let pages = pages_of(&program(), "macadam");
        let page = |name: &str| pages.iter().find(|(page, _)| page == name).unwrap().1.clone();
        let sync = String::from_utf8(page("macadam-sync")).unwrap();
        for form in [r"[\fB\-\-require\-branch\fR \fIBRANCH\fR]", r"[\fB\-\-uploads\fR \fIN\fR]", r"[\fB\-\-once\fR]"] {
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
