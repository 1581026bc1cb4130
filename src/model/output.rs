//! Code files that tell the game its asset IDs, as the manifest's `[[outputs]]` asks for them.
//!
//! The nouns alone. [`crate::outputs`] decides the contents of a file, and which asset ID an
//! address has in `plan/current.rs`.

use super::identifier::identifier_of;
use super::path::ProjectPath;

/// The language of an output, by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// `.luau` or `.lua`: a module that returns a table.
    Luau,
    /// `.ts`: a module that exports a constant.
    TypeScript,
    /// `.d.ts`: only the types, beside a Luau output of the same stem.
    TypeScriptDeclaration,
    /// `.json`: for every other tool.
    Json,
}

impl Language {
    /// Every extension that an output can have, with its language; the longer of two that fit
    /// stands first.
    pub const EXTENSIONS: [(&'static str, Self); 5] = [
        (".d.ts", Self::TypeScriptDeclaration),
        (".ts", Self::TypeScript),
        (".luau", Self::Luau),
        (".lua", Self::Luau),
        (".json", Self::Json),
    ];

    /// The language that a file's extension stands for; the extension's case doesn't count.
    pub fn of_path(path: &ProjectPath) -> Option<Self> {
        split(path).map(|(_, language)| language)
    }

    /// The language as people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Luau => "Luau",
            Self::TypeScript | Self::TypeScriptDeclaration => "TypeScript",
            Self::Json => "JSON",
        }
    }

    /// Whether a person chooses the types in it.
    pub const fn has_types(self) -> bool {
        matches!(self, Self::TypeScript | Self::TypeScriptDeclaration)
    }
}

/// The path without the extension of its language, and that language.
fn split(path: &ProjectPath) -> Option<(&str, Language)> {
    let lower = path.as_str().to_ascii_lowercase();
    let mut extensions = Language::EXTENSIONS.into_iter();
    let (stem, language) =
        extensions.find_map(|(extension, language)| Some((lower.strip_suffix(extension)?, language)))?;
    let stem = path.as_str().get(..stem.len())?;
    (!stem.is_empty() && !stem.ends_with('/')).then_some((stem, language))
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

/// How an output writes an asset ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ValueForm {
    /// `"rbxassetid://123"`.
    #[default]
    Uri,
    /// `Content.fromUri("rbxassetid://123")`.
    Content,
    /// `123`; a string in JSON, since an ID can pass 2^53.
    Id,
}

/// How precise the types of a TypeScript output are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum TypeWidth {
    /// `string`, `Content` or `number`.
    #[default]
    Wide,
    /// The value itself, where TypeScript has a type for it.
    Literal,
}

/// The treatment of an address that has no asset yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum MissingAsset {
    /// The output doesn't have its key.
    #[default]
    Omit,
    /// Its key has a value that shows nothing.
    Empty,
    /// The output is not written.
    Error,
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
    /// The folder that is cut off the front of each address, without a `/` at its end.
    pub base: Option<String>,
    /// The name of the table or constant: an identifier of Luau and TypeScript.
    pub name: String,
    /// Leave the last extension out of each key.
    pub strip_extensions: bool,
    /// How an asset ID is written.
    pub value: ValueForm,
    /// Of TypeScript.
    pub types: TypeWidth,
    /// The treatment of an address without an asset.
    pub missing: MissingAsset,
    /// Patterns of the addresses that it holds, in which `*` doesn't cross `/`; `None`: all.
    pub include: Option<Vec<String>>,
    /// Patterns of addresses that it leaves out.
    pub exclude: Vec<String>,
}

impl Output {
    /// An output at `path` with the default of every key; `None` where its extension is no
    /// language.
    pub fn new(path: ProjectPath) -> Option<Self> {
        let (stem, language) = split(&path)?;
        let stem = stem.rsplit('/').next().unwrap_or(stem);
        Some(Self {
            name: identifier_of(stem),
            language,
            style: OutputStyle::default(),
            base: None,
            strip_extensions: false,
            value: ValueForm::default(),
            types: TypeWidth::default(),
            missing: MissingAsset::default(),
            include: None,
            exclude: Vec::new(),
            path,
        })
    }

    /// Its path without the extension: a `.d.ts` describes the Luau output that has the same.
    pub fn stem(&self) -> &str {
        split(&self.path).map_or(self.path.as_str(), |(stem, _)| stem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_extension_decides() {
        let check = |text: &str, expected: Option<(Language, &str, &str)>| {
            let output = Output::new(ProjectPath::new(text).unwrap());
            let seen = output.as_ref().map(|output| (output.language, output.stem(), output.name.as_str()));
            assert_eq!(seen, expected, "{text}");
        };
        check("src/assets.luau", Some((Language::Luau, "src/assets", "assets")));
        check("src/assets.LUA", Some((Language::Luau, "src/assets", "assets")));
        check("src/assets.d.ts", Some((Language::TypeScriptDeclaration, "src/assets", "assets")));
        check("src/assets.ts", Some((Language::TypeScript, "src/assets", "assets")));
        check("my-assets.v2.json", Some((Language::Json, "my-assets.v2", "my_assets_v2")));
        check("assets.py", None);
        check("src/.ts", None);
        check(".d.ts", None);
        check("luau", None);
    }
}
