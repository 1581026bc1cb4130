//! The commands that messages propose, and the options that they need to mean the same again.
//!
//! In a message, a command to paste stands in backticks and begins with `macadam` or `git`. That is
//! markup: wherever a message is printed, the options of this run are added to it, so that a hint of a
//! rehearsal never runs against the real Roblox, and the folder of the project's files for git. Messages
//! are stored and passed on without them. What of git's is for another machine, or only named, is not
//! marked so.

use std::borrow::Cow;

/// The beginning of a proposed command.
const START: &str = "`macadam ";

/// The beginning of a proposed command of git's.
const GIT: &str = "`git ";

/// Commands for which these options mean nothing.
const WITHOUT_PROJECT: [&str; 6] = ["init", "lockfile", "emulator", "completions", "man", "help"];

/// The options of a run that a proposed command has to repeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RepeatedOptions {
    /// Name, and value as a shell takes it.
    options: Vec<(&'static str, Option<String>)>,
    /// The project's folder as a shell takes it, if the run was not started there.
    folder: Option<String>,
}

impl RepeatedOptions {
    /// Adds an option without a value.
    pub(crate) fn flag(&mut self, name: &'static str) {
        self.options.push((name, None));
    }

    /// Adds an option with a value.
    pub(crate) fn option(&mut self, name: &'static str, value: &str) {
        self.options.push((name, Some(quoted(value))));
    }

    /// Sets the folder to which the files in git's commands belong.
    pub(crate) fn folder(&mut self, path: &str) {
        self.folder = Some(quoted(path));
    }

    /// Returns the text with the options added to each command that it proposes.
    pub(crate) fn add_to<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let text = match &self.folder {
            Some(folder) if text.contains(GIT) => Cow::Owned(text.replace(GIT, &format!("{GIT}-C {folder} "))),
            Some(_) | None => Cow::Borrowed(text),
        };
        match text {
            Cow::Borrowed(text) => self.add_options(text),
            Cow::Owned(text) => Cow::Owned(self.add_options(&text).into_owned()),
        }
    }

    fn add_options<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.options.is_empty() || !text.contains(START) {
            return Cow::Borrowed(text);
        }
        let mut added = String::with_capacity(text.len() + 64);
        let mut rest = text;
        while let Some(at) = rest.find(START) {
            let (before, from) = rest.split_at(at);
            added.push_str(before);
            let Some(end) = from.get(START.len()..).and_then(|inside| inside.find('`')) else {
                rest = from;
                break;
            };
            let (command, after) = from.split_at(START.len() + end);
            added.push_str(&self.added_to_one(command));
            added.push('`');
            rest = after.get(1..).unwrap_or_default();
        }
        added.push_str(rest);
        Cow::Owned(added)
    }

    /// Returns one line of a list of commands with the options added, before its comment.
    pub(crate) fn added_to_one(&self, command: &str) -> String {
        let mut words = command.split_whitespace().skip(1);
        let name = words.next().unwrap_or_default();
        let mut whole = command.to_owned();
        if name.starts_with('-') || WITHOUT_PROJECT.contains(&name) {
            return whole;
        }
        for (option, value) in &self.options {
            if command.split_whitespace().any(|word| word == *option) {
                continue;
            }
            whole.push_str(&format!(" {option}"));
            if let Some(value) = value {
                whole.push_str(&format!(" {value}"));
            }
        }
        whole
    }
}

/// A value as a shell takes it: on Windows as cmd, PowerShell and Git's bash all do, where there is
/// such a form.
pub(crate) fn quoted(value: &str) -> String {
    if cfg!(windows) { quoted_for_windows(value) } else { quoted_for_unix(value) }
}

fn quoted_for_unix(value: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:@%+=,".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// cmd knows only double quotes, in which PowerShell and bash put in variables. A value that holds
/// one is quoted for these two, since cmd then takes it as a name that there is none of.
fn quoted_for_windows(value: &str) -> String {
    /// What ends a quoted text in PowerShell, as a typesetter writes it.
    const DOUBLE: [char; 3] = ['\u{201c}', '\u{201d}', '\u{201e}'];
    // `@` and `,` mean something in PowerShell.
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:%+=".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    if value.contains(['$', '`']) || value.contains(DOUBLE) {
        return format!("'{}'", value.replace('\'', "''"));
    }
    // A program's start reads a backslash before a quote as part of the quote.
    let mut text = String::with_capacity(value.len() + 2);
    let mut backslashes = 0;
    text.push('"');
    for c in value.chars() {
        if c == '"' {
            text.extend(std::iter::repeat_n('\\', backslashes + 1));
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        text.push(c);
    }
    text.extend(std::iter::repeat_n('\\', backslashes));
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proposed_command_means_the_same_as_the_run_that_proposes_it() {
        let mut options = RepeatedOptions::default();
        options.option("--manifest", "my game/assets.toml");
        options.flag("--emulator");
        let typed = quoted("my game/assets.toml");
        let check = |text: &str, wanted: &str| {
            assert_eq!(options.add_to(text), wanted.replace("'my game/assets.toml'", &typed));
        };
        check("no command", "no command");
        check("run `macadam sync --once`.", "run `macadam sync --once --manifest 'my game/assets.toml' --emulator`.");
        check(
            "`macadam pin a 1`, or `macadam unpin a`",
            "`macadam pin a 1 --manifest 'my game/assets.toml' --emulator`, or `macadam unpin a --manifest 'my game/assets.toml' --emulator`",
        );
        check("`macadam status --emulator`", "`macadam status --emulator --manifest 'my game/assets.toml'`");
        check("run `macadam init`, see `macadam --help`", "run `macadam init`, see `macadam --help`");
        check("`git config x \"macadam lockfile merge\"`", "`git config x \"macadam lockfile merge\"`");
        check("an open `macadam sync", "an open `macadam sync");
        assert_eq!(RepeatedOptions::default().add_to("`macadam sync`"), "`macadam sync`");
    }

    #[test]
    fn a_proposed_command_of_git_is_for_the_projects_folder() {
        let mut options = RepeatedOptions::default();
        options.option("--manifest", "game/assets.toml");
        options.folder("game");
        assert_eq!(
            options.add_to("`git checkout -- a.lock.toml`, or `macadam sync`, after `git -C .. status`"),
            "`git -C game checkout -- a.lock.toml`, or `macadam sync --manifest game/assets.toml`, after `git -C game -C .. status`"
        );
        assert_eq!(options.add_to("a `.gitignore`"), "a `.gitignore`");
    }

    #[test]
    fn a_value_is_quoted_where_a_shell_needs_that() {
        for (value, wanted) in [("a/b.toml", "a/b.toml"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''")] {
            assert_eq!(quoted_for_unix(value), wanted);
        }
    }

    #[test]
    fn a_value_is_quoted_for_each_shell_of_windows() {
        for (value, wanted) in [
            ("a/b.toml", "a/b.toml"),
            ("my sounds/hit (1).wav", r#""my sounds/hit (1).wav""#),
            ("it's", r#""it's""#),
            ("a&b", r#""a&b""#),
            ("@2x.png", r#""@2x.png""#),
            ("a,b", r#""a,b""#),
            ("", r#""""#),
            (r"C:\game\assets.toml", r#""C:\game\assets.toml""#),
            (r"C:\my game\", r#""C:\my game\\""#),
            (r#"say "hi""#, r#""say \"hi\"""#),
            (r#"a\"b"#, r#""a\\\"b""#),
            ("$5.png", "'$5.png'"),
            ("it's $5", "'it''s $5'"),
            ("\u{201c}hi\u{201d}.png", "'\u{201c}hi\u{201d}.png'"),
        ] {
            assert_eq!(quoted_for_windows(value), wanted);
        }
    }
}
