//! `[[outputs]]` and `[notify]`: what Macadam writes and calls beside its work.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use unicode_normalization::UnicodeNormalization;

use super::diagnostic::{Fault, Report, shown};
use super::entry::normalized;
use super::near::either;
use super::pattern::read_pattern;
use super::read::{Field, Fields};
use crate::model::output::{Language, Output, OutputStyle};
use crate::model::path::ProjectPath;

const STYLES: [(&str, OutputStyle); 2] = [("flat", OutputStyle::Flat), ("nested", OutputStyle::Nested)];
/// Variables that hold credentials: what they hold must never be taken for a URL, which errors may show.
const KEY_VARIABLES: [&str; 2] = ["ROBLOX_API_KEY", "ROBLOX_OAUTH_TOKEN"];

/// All outputs, and the places of their patterns.
#[derive(Debug, Clone, Default)]
pub(super) struct Outputs {
    pub(super) all: Vec<Output>,
    pub(super) includes: Vec<Spanned<String>>,
}

/// Reads the list of outputs.
pub(super) fn read_outputs(field: &Field<'_>, report: &mut Report) -> Outputs {
    let mut outputs = Outputs::default();
    if let toml::de::DeValue::Table(_) = field.value.get_ref() {
        let fault = Fault::new(field.key.clone(), "`outputs` has to be a list, not a table");
        report.add(fault.hint("write [[outputs]] with two brackets, once for each output"));
        return outputs;
    }
    let Some(list) = field.list(report) else { return outputs };
    let mut paths = BTreeMap::new();
    for value in list.iter() {
        let item = Field { name: field.name, key: value.span(), value };
        let Some(fields) = item.table("`[[outputs]]`", report) else { continue };
        let Some((output, place)) = read_output(fields, &mut outputs.includes, report) else { continue };
        let same = normalized(&output.path);
        if let Some(first) = paths.get(&same) {
            let fault = Fault::new(place, format!("two outputs write {}", shown(output.path.as_str())));
            report.add(fault.also(Range::clone(first), "the first one").hint("give each output a file of its own"));
        } else {
            paths.insert(same, place);
        }
        outputs.all.push(output);
    }
    outputs
}

fn read_output(
    mut fields: Fields<'_>,
    includes: &mut Vec<Spanned<String>>,
    report: &mut Report,
) -> Option<(Output, Range<usize>)> {
    let path = fields.take("path");
    let style = fields.take("style").and_then(|field| field.choice(&STYLES, report));
    let strip_extensions = fields.take("strip_extensions").and_then(|field| field.boolean(report));
    let include = fields.take("include").and_then(|field| read_include(&field, report));
    let header = fields.place.clone();
    fields.finish(report);
    includes.extend(include.iter().flatten().cloned());
    let Some(path) = path else {
        report.add(Fault::new(header, "an output needs a `path`").hint("such as path = \"src/shared/assets.luau\""));
        return None;
    };
    let (path, place) = (read_path(&path, report)?, path.place());
    let Some(language) = Language::of_path(&path) else {
        let extensions = Language::EXTENSIONS.into_iter().map(|(extension, _)| extension);
        let fault = Fault::new(place, format!("{} has no extension of an output", shown(path.file_name())));
        report.add(fault.hint(format!("it can be {}", either(extensions))));
        return None;
    };
    let style = style.unwrap_or_default();
    let strip_extensions = strip_extensions.unwrap_or(false);
    let include = include.map(|all| all.into_iter().map(Spanned::into_inner).collect());
    Some((Output { path, language, style, strip_extensions, include }, place))
}

/// Reads a path of a file in the project.
pub(super) fn read_path(field: &Field<'_>, report: &mut Report) -> Option<ProjectPath> {
    let text = field.text(report)?;
    let path = ProjectPath::new(text);
    path.map_err(|error| {
        let fault = field.fault(error.to_string());
        report.add(if text.contains('\\') { fault.hint(format!("write \"{}\"", slashed(text))) } else { fault });
    })
    .ok()
}

fn slashed(text: &str) -> String {
    text.replace('\\', "/").chars().take(60).filter(|c| !c.is_control()).collect()
}

fn read_include(field: &Field<'_>, report: &mut Report) -> Option<Vec<Spanned<String>>> {
    let texts = field.texts(report)?;
    if texts.is_empty() {
        report.add(field.fault("`include` holds no pattern").hint("leave it out for all addresses"));
    }
    // Addresses are in NFC, so their patterns are too.
    let read = |text: Spanned<&str>| Some(Spanned::new(text.span(), read_pattern(text, report)?.nfc().collect()));
    Some(texts.into_iter().filter_map(read).collect())
}

/// Reads `[notify]`: the name of the variable that holds the webhook's URL.
pub(super) fn read_notify(mut fields: Fields<'_>, report: &mut Report) -> Option<String> {
    let webhook_env = fields.take("webhook_env");
    fields.finish(report);
    let field = webhook_env?;
    let name = field.text(report)?;
    if name.contains('/') {
        let fault = field.fault("`webhook_env` is the name of an environment variable, not a URL");
        report.add(fault.hint(
            "a webhook's URL is a secret: put it into the environment and its variable's name here; renew one that was committed",
        ));
        return None;
    }
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !first || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') || name.len() > 200 {
        let fault = field.fault(format!("{} is no name of an environment variable", shown(name)));
        report.add(fault.hint("use letters, digits and `_`, such as \"MACADAM_WEBHOOK\""));
        return None;
    }
    if KEY_VARIABLES.contains(&name) {
        let fault = field.fault(format!("{} holds a credential, not a webhook's URL", shown(name)));
        report.add(fault.hint("use a variable of its own, such as \"MACADAM_WEBHOOK\""));
        return None;
    }
    Some(name.to_owned())
}
