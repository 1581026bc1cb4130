//! What GitHub Actions shows of a run: annotations at lines of the manifest, and the job's summary.
//! Also the Markdown of a plan, which goes into a comment.
//!
//! All of it is text that others made, in places where it could give commands (a line of the log)
//! or mention people (Markdown). Log commands are escaped as the runner decodes them
//! (`ActionCommand.cs` of actions/runner); what a command prints stands in Markdown within a fence
//! that it can't close. Pure but for [`append`]. Read next: [`super::output`], which collects both.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use super::exit::{Exit, ReportedProblem};
use crate::model::shown;
use crate::platform::own_file::{self, How};

/// GitHub shows ten annotations of a level and step, and drops the rest without a word: the tenth
/// is a count. <https://docs.github.com/en/actions/reference/limits>
const ANNOTATIONS: usize = 9;

/// GitHub refuses the whole summary of a step that is longer, in bytes.
/// <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>
pub(super) const SUMMARY_LIMIT: usize = 1024 * 1024;

/// The most bytes of Markdown that fit into a comment, with room for words around it. GitHub takes
/// 65,536 characters.
pub(super) const COMMENT_LIMIT: usize = 60_000;

/// How much an annotation matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AnnotationLevel {
    /// Something failed.
    Error,
    /// Something waits for a person, or looks like a mistake.
    Warning,
}

/// Whether the runner of GitHub Actions started this process.
#[expect(clippy::disallowed_methods, reason = "the runner says so in the environment")]
pub(super) fn is_runner() -> bool {
    std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true")
}

/// The log commands for annotations: of each level at most nine, and a count of the others.
/// `workspace` is the folder that GitHub's paths begin at, `root` the one that paths of problems
/// begin at.
pub(super) fn annotations(
    problems: &[(AnnotationLevel, ReportedProblem)],
    root: Option<&Path>,
    workspace: Option<&Path>,
) -> String {
    let mut commands = String::new();
    for level in [AnnotationLevel::Error, AnnotationLevel::Warning] {
        let (name, noun) = match level {
            AnnotationLevel::Error => ("error", "errors"),
            AnnotationLevel::Warning => ("warning", "warnings"),
        };
        let mut of_level: Vec<&ReportedProblem> = Vec::new();
        for (_, problem) in problems.iter().filter(|(other, _)| *other == level) {
            if !of_level.contains(&problem) {
                of_level.push(problem);
            }
        }
        for problem in of_level.iter().take(ANNOTATIONS) {
            let place = place(problem, root, workspace);
            let hint = problem.hint.as_ref().map(|hint| format!("\n{}", shown::foreign(hint))).unwrap_or_default();
            let message = format!("{}{hint}", shown::foreign(&problem.message));
            // Writing to a string can't fail.
            let _ = writeln!(commands, "::{name} {place}title=macadam::{}", data(&message));
        }
        let more = of_level.len().saturating_sub(ANNOTATIONS);
        if more > 0 {
            let _ =
                writeln!(commands, "::{name} title=macadam::and {more} more {noun}: see the log and the job summary");
        }
    }
    commands
}

/// `file=game/assets.toml,line=3,`.
fn place(problem: &ReportedProblem, root: Option<&Path>, workspace: Option<&Path>) -> String {
    let Some(file) = &problem.file else { return String::new() };
    let path = root.map_or_else(|| Path::new(file).to_owned(), |root| root.join(file));
    let path = workspace.and_then(|workspace| path.strip_prefix(workspace).ok()).unwrap_or(&path);
    // GitHub's paths have slashes everywhere.
    let path = path.display().to_string().replace(std::path::MAIN_SEPARATOR, "/");
    let mut place = format!("file={},", property(&shown::foreign(&path)));
    if let Some(line) = problem.line {
        let _ = write!(place, "line={line},");
    }
    if let Some(column) = problem.column {
        let _ = write!(place, "col={column},");
    }
    place
}

/// Escapes the message of a log command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes the value of a log command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// What a command printed, for Markdown.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    lines: Vec<String>,
    bytes: usize,
    /// The lines that were too many.
    dropped: usize,
    /// The last line of a result, which sums up.
    summary: Option<String>,
    /// Why a command that succeeded needs a person all the same.
    caution: Option<String>,
}

impl Transcript {
    /// Adds text that is fit to be shown, with line breaks but without colours.
    pub(super) fn push(&mut self, text: &str) {
        for line in text.split('\n') {
            if self.bytes.saturating_add(line.len()) > SUMMARY_LIMIT {
                self.dropped = self.dropped.saturating_add(1);
                continue;
            }
            self.bytes = self.bytes.saturating_add(line.len()).saturating_add(1);
            self.lines.push(line.to_owned());
        }
    }

    /// Adds the line that sums up.
    pub(super) fn sum_up(&mut self, text: &str) {
        self.summary = Some(text.to_owned());
    }

    /// Says why a command that succeeds needs a person all the same.
    pub(super) fn caution(&mut self, text: &str) {
        self.caution = Some(text.to_owned());
    }

    /// The Markdown of a command that ended, in at most `room` bytes; empty where that is too
    /// little to say anything.
    pub(super) fn markdown(&self, command: &str, exit: Exit, room: usize) -> String {
        let (sign, end) = match exit {
            Exit::Success | Exit::Changes if self.caution.is_some() => ("⚠️", String::new()),
            Exit::Success | Exit::Changes => ("✅", String::new()),
            failed => ("❌", format!(" (exit code {})", failed.code())),
        };
        let mut head = format!("### {sign} {command}{end}\n\n");
        for text in self.summary.iter().chain(&self.caution) {
            let _ = write!(head, "{}\n\n", plain(text));
        }
        // A line that others made can't close a fence that is longer than all of its own.
        let longest = self.lines.iter().map(|line| longest_run(line)).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2).saturating_add(1));
        let (open, close) = (format!("{fence}text\n"), format!("{fence}\n\n"));
        // The sentence about lines that are left out.
        let last = 80;
        let Some(mut left) = room.checked_sub(head.len() + open.len() + close.len() + last) else {
            return if head.len() <= room { head } else { String::new() };
        };
        let from = self.lines.iter().position(|line| !line.is_empty()).unwrap_or(self.lines.len());
        let to = self.lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last.saturating_add(1));
        let lines = self.lines.get(from..to).unwrap_or_default();
        if lines.is_empty() {
            return head;
        }
        let mut body = String::new();
        let mut shown = 0;
        for line in lines {
            let Some(rest) = left.checked_sub(line.len().saturating_add(1)) else { break };
            left = rest;
            let _ = writeln!(body, "{line}");
            shown += 1;
        }
        let more = lines.len().saturating_sub(shown).saturating_add(self.dropped);
        let more = if more > 0 { format!("{more} more lines are in the log.\n\n") } else { String::new() };
        format!("{head}{open}{body}{close}{more}")
    }
}

/// Makes text plain in Markdown: no formatting, no link and no mention.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '&' | '#' | '|' | '!' | '~') {
            plain.push('\\');
        }
        plain.push(c);
        if c == '@' {
            // A word joiner: what follows is no name any more.
            plain.push('\u{2060}');
        }
    }
    plain
}

/// The longest run of backquotes in a line.
fn longest_run(line: &str) -> usize {
    line.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Adds Markdown to the step's summary, which other commands of the step may have begun.
///
/// # Errors
/// When the runner's file can't be written.
pub(super) fn append(path: &Path, markdown: impl FnOnce(usize) -> String) -> io::Result<()> {
    let path = own_file::named(path);
    let mut file = own_file::open(&path, How::Append)?;
    let taken = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    file.write_all(markdown(SUMMARY_LIMIT.saturating_sub(taken)).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(message: &str, file: Option<&str>, line: Option<usize>) -> ReportedProblem {
        let file = file.map(str::to_owned);
        ReportedProblem { message: message.to_owned(), file, line, ..ReportedProblem::default() }
    }

    #[test]
    fn an_annotation_stands_at_its_line_in_the_repository() {
        let (root, workspace) = (Path::new("/w/repo/game"), Path::new("/w/repo"));
        let check = |problem: ReportedProblem, expected: &str| {
            let commands = annotations(&[(AnnotationLevel::Error, problem)], Some(root), Some(workspace));
            assert_eq!(commands, format!("{expected}\n"));
        };
        check(
            problem("sword: no", Some("assets.toml"), Some(3)),
            "::error file=game/assets.toml,line=3,title=macadam::sword: no",
        );
        check(problem("no key", None, None), "::error title=macadam::no key");
        check(problem("x", Some("/elsewhere/a"), None), "::error file=/elsewhere/a,title=macadam::x");
        let hint = Some("do this".to_owned());
        check(ReportedProblem { hint, ..problem("50%", None, None) }, "::error title=macadam::50%25%0Ado this");
        check(
            problem("a\n::set-output name=x::y\r%0A::error::z", Some("a,line=9::b\n:c.toml"), None),
            "::error file=game/a%2Cline=9%3A%3Ab\\n%3Ac.toml,title=macadam::a\\n::set-output name=x::y\\u{d}%250A::error::z",
        );
    }

    #[test]
    fn at_most_nine_annotations_of_a_level_and_a_count() {
        let many = |count: usize| {
            let errors = (0..count).map(|n| (AnnotationLevel::Error, problem(&format!("no {n}"), None, None)));
            let warning = (AnnotationLevel::Warning, problem("careful", None, None));
            annotations(&errors.chain([warning.clone(), warning]).collect::<Vec<_>>(), None, None)
        };
        assert_eq!(many(9).matches("::error ").count(), 9);
        assert!(many(9).ends_with("::warning title=macadam::careful\n") && !many(9).contains("more"));
        assert_eq!(many(23).matches("::error ").count(), 10);
        assert!(many(23).contains("::and 14 more errors"), "{}", many(23));
        assert_eq!(many(23).matches("::warning ").count(), 1, "the same is told once");
    }

    fn transcript(lines: &[&str], summary: Option<&str>) -> Transcript {
        let mut transcript = Transcript::default();
        lines.iter().for_each(|line| transcript.push(line));
        summary.into_iter().for_each(|line| transcript.sum_up(line));
        transcript
    }

    #[test]
    fn markdown_has_a_heading_the_summary_and_the_lines() {
        let plan = transcript(&["", "new (1)\n  a.png", ""], Some("Plan: 1 to upload."));
        assert_eq!(
            plan.markdown("macadam plan", Exit::Success, 500),
            "### ✅ macadam plan\n\nPlan: 1 to upload.\n\n```text\nnew (1)\n  a.png\n```\n\n"
        );
        let failed = transcript(&[], None).markdown("macadam check", Exit::Unusable, 500);
        assert_eq!(failed, "### ❌ macadam check (exit code 3)\n\n");
        let fenced = transcript(&["````", "</details> @all"], None).markdown("x", Exit::Success, 500);
        assert!(fenced.ends_with("`````text\n````\n</details> @all\n`````\n\n"), "{fenced}");
        let foreign = transcript(&[], Some("@me <b> [x](y) #1")).markdown("x", Exit::Success, 500);
        assert!(foreign.ends_with("@\u{2060}me \\<b\\> \\[x\\](y) \\#1\n\n"), "{foreign}");
    }

    #[test]
    fn what_is_too_long_is_counted() {
        let long: Vec<String> = (0..2_000).map(|n| format!("line {n} {}", "x".repeat(1000))).collect();
        let long = transcript(&long.iter().map(String::as_str).collect::<Vec<_>>(), Some("Done."));
        let markdown = long.markdown("x", Exit::Success, SUMMARY_LIMIT);
        assert!(markdown.len() <= SUMMARY_LIMIT && markdown.len() > SUMMARY_LIMIT - 3000, "{}", markdown.len());
        let shown = markdown.matches("\nline ").count();
        assert!(markdown.ends_with(&format!("\n```\n\n{} more lines are in the log.\n\n", 2_000 - shown)));
    }

    proptest! {
        #[test]
        fn markdown_keeps_its_limit_and_its_fence(lines in prop::collection::vec("[`a~\n ]{0,12}", 0..20), room in 0usize..600) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let markdown = transcript(&lines, Some("Done.")).markdown("x", Exit::Success, room);
            prop_assert!(markdown.len() <= room, "{} of {room}", markdown.len());
            if let Some((_, rest)) = markdown.split_once("text\n") {
                let fence: String = markdown.split_once("text\n").unwrap().0.chars().rev().take_while(|c| *c == '`').collect();
                let closing = rest.lines().filter(|line| line.trim().starts_with(fence.as_str())).count();
                prop_assert_eq!(closing, 1, "{}", markdown);
            }
        }

        #[test]
        fn no_text_adds_a_log_command(message in "(\\PC|[\\n\\r%:,]|::error::|%0A){0,16}", file in "(\\PC|[\\n\\r%:,]){0,12}") {
            let problem = problem(&message, Some(&file), Some(1));
            let commands = annotations(&[(AnnotationLevel::Error, problem)], None, None);
            prop_assert_eq!(commands.matches('\n').count(), 1, "{:?}", &commands);
            prop_assert!(!commands.contains('\r'));
            let (head, _) = commands.split_once("title=macadam::").unwrap();
            prop_assert_eq!(head.matches("::").count(), 1, "{:?}", head);
            prop_assert_eq!(head.matches(',').count(), 2, "{:?}", head);
        }
    }
}
