//! Code files that tell the game its asset IDs, as the manifest's `[[outputs]]` asks for them.

use super::path::ProjectPath;

/// The language of an output, by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// `.luau` or `.lua`: a module that returns a table.
    Luau,
    /// `.ts`: a module that exports the values.
    TypeScript,
    /// `.d.ts`: only the types, beside a Luau output.
    TypeScriptDeclaration,
    /// `.json`: for every other tool.
    Json,
}

impl Language {
    /// Every extension that an output can have, with its language; the longer of two that fit stands first.
    pub const EXTENSIONS: [(&'static str, Self); 5] = [
        (".d.ts", Self::TypeScriptDeclaration),
        (".ts", Self::TypeScript),
        (".luau", Self::Luau),
        (".lua", Self::Luau),
        (".json", Self::Json),
    ];

    /// The language that a file's extension stands for; the extension's case doesn't count.
    pub fn of_path(path: &ProjectPath) -> Option<Self> {
        let name = path.file_name().to_ascii_lowercase();
        Self::EXTENSIONS
            .into_iter()
            .find(|(extension, _)| name.strip_suffix(extension).is_some_and(|stem| !stem.is_empty()))
            .map(|(_, language)| language)
    }
}

/// How an output arranges its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum OutputStyle {
    /// One table, whose keys are the addresses.
    #[default]
    Flat,
    /// A table in a table for each `/` of an address.
    Nested,
}

/// One entry of `[[outputs]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Where it is written.
    pub path: ProjectPath,
    /// By the path's extension.
    pub language: Language,
    /// How addresses become keys.
    pub style: OutputStyle,
    /// Leave the extension out of each key.
    pub strip_extensions: bool,
    /// Patterns of the addresses that it holds, in which `*` doesn't cross `/`; `None`: all.
    pub include: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_extension_decides() {
        let check = |text: &str, expected: Option<Language>| {
            assert_eq!(Language::of_path(&ProjectPath::new(text).unwrap()), expected, "{text}");
        };
        check("src/assets.luau", Some(Language::Luau));
        check("src/assets.LUA", Some(Language::Luau));
        check("src/assets.d.ts", Some(Language::TypeScriptDeclaration));
        check("src/assets.ts", Some(Language::TypeScript));
        check("assets.json", Some(Language::Json));
        check("assets.py", None);
        check("src/.ts", None);
        check("luau", None);
    }
}
