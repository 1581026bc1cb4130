//! Prints a tree as Luau, TypeScript, the types of a Luau module, or JSON. Uses tabs, trailing
//! commas where the language has them, and a final line break.

use std::fmt::Write as _;

use super::mark;
use super::quote::{json_string, luau_key, luau_string, typescript_key};
use super::tree::{JSON_MARK_KEY, Node, Table, Tree};
use crate::model::ids::AssetId;
use crate::model::output::{Language, Output, TypeWidth, ValueForm};

/// Returns a whole file.
pub(super) fn file(output: &Output, manifest: &str, tree: &Tree<'_>) -> String {
    let mut text = String::new();
    let name = &output.name;
    // Writing to a String can't fail.
    match output.language {
        Language::Luau => {
            let _ = write!(text, "{}\nlocal {name} = ", mark::line(output.language, manifest));
            push_table(&mut text, output, &tree.0, 0);
            let _ = write!(text, "\n\nreturn {name}\n");
        }
        Language::TypeScript => {
            let _ = write!(text, "{}\nexport const {name} = ", mark::line(output.language, manifest));
            push_table(&mut text, output, &tree.0, 0);
            text.push_str(if output.types == TypeWidth::Literal { " as const;\n" } else { ";\n" });
        }
        Language::TypeScriptDeclaration => {
            let _ = write!(text, "{}\ndeclare const {name}: ", mark::line(output.language, manifest));
            push_table(&mut text, output, &tree.0, 0);
            let _ = write!(text, ";\n\nexport = {name};\n");
        }
        Language::Json => {
            let _ = write!(text, "{{\n\t{}: {}", json_string(JSON_MARK_KEY), json_string(&mark::json(manifest)));
            text.push_str(if tree.0.is_empty() { "\n" } else { ",\n" });
            push_entries(&mut text, output, &tree.0, 1);
            text.push_str("}\n");
        }
    }
    text
}

/// Appends a table in braces, without a final line break.
fn push_table(text: &mut String, output: &Output, table: &Table<'_>, depth: usize) {
    if table.is_empty() {
        text.push_str("{}");
        return;
    }
    text.push_str("{\n");
    push_entries(text, output, table, depth + 1);
    push_tabs(text, depth);
    text.push('}');
}

fn push_entries(text: &mut String, output: &Output, table: &Table<'_>, depth: usize) {
    let last = table.len().saturating_sub(1);
    for (at, (key, node)) in table.iter().enumerate() {
        push_tabs(text, depth);
        text.push_str(&match output.language {
            Language::Luau => format!("{} = ", luau_key(key)),
            Language::TypeScript => format!("{}: ", typescript_key(key)),
            Language::TypeScriptDeclaration => format!("readonly {}: ", typescript_key(key)),
            Language::Json => format!("{}: ", json_string(key)),
        });
        match node {
            Node::Table(inner) => push_table(text, output, inner, depth),
            Node::Asset(_, asset_id) => text.push_str(&value(output, *asset_id)),
        }
        text.push_str(match output.language {
            Language::Json if at == last => "\n",
            Language::Luau | Language::TypeScript | Language::Json => ",\n",
            Language::TypeScriptDeclaration => ";\n",
        });
    }
}

fn push_tabs(text: &mut String, count: usize) {
    text.extend(std::iter::repeat_n('\t', count));
}

/// Returns the value of an asset, or its type; for a missing asset, an empty value.
fn value(output: &Output, asset_id: Option<AssetId>) -> String {
    let uri = asset_id.map(|asset_id| format!("rbxassetid://{asset_id}")).unwrap_or_default();
    let number = asset_id.map_or(0, AssetId::get);
    match (output.language, output.value, output.types) {
        (Language::TypeScriptDeclaration, ValueForm::Uri, TypeWidth::Wide) => "string".to_owned(),
        (Language::TypeScriptDeclaration, ValueForm::Id, TypeWidth::Wide) => "number".to_owned(),
        // TypeScript has no literal type for `Content`.
        (Language::TypeScriptDeclaration, ValueForm::Content, _) => "Content".to_owned(),
        (Language::Json, ValueForm::Id, _) => json_string(&asset_id.map(|id| id.to_string()).unwrap_or_default()),
        (_, ValueForm::Id, _) => number.to_string(),
        // The manifest doesn't allow this form for JSON.
        (_, ValueForm::Content, _) if asset_id.is_none() => "Content.none".to_owned(),
        (_, ValueForm::Content, _) => format!("Content.fromUri({})", json_string(&uri)),
        (Language::Luau, ValueForm::Uri, _) => luau_string(&uri),
        (_, ValueForm::Uri, _) => json_string(&uri),
    }
}
