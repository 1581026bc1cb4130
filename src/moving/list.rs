//! A list that somebody kept by hand: CSV with a header, and a file and its asset ID a row. It proves
//! no more than a name: nothing says whether the file changed since its upload.

use std::collections::BTreeMap;
use std::mem::take;

use super::read::{ReadError, slashed};
use super::source::{FileSet, Input, Row, Source, Tool, Treatment};
use crate::model::ids::AssetId;

/// How messages call the file. They quote none of its lines: a table may have more than IDs.
const FILE: &str = "the list";
/// The names of its columns, in any case.
const PATHS: [&str; 2] = ["path", "file"];
const ASSET_IDS: [&str; 2] = ["asset_id", "id"];
/// What separates columns, in the tables of different programs and countries.
const SEPARATORS: [char; 3] = [',', ';', '\t'];

/// Reads a list.
pub(super) fn read(main: &str) -> Result<Source, ReadError> {
    let text = main.trim_start_matches('\u{feff}');
    let header = text.lines().next().unwrap_or_default();
    let separator = SEPARATORS.into_iter().max_by_key(|separator| header.matches(*separator).count()).unwrap_or(',');
    let mut records = records(text, separator)?.into_iter();
    let (_, header) = records.next().unwrap_or_default();
    let column = |names: [&str; 2]| {
        let place = header.iter().position(|name| names.contains(&name.trim().to_lowercase().as_str()));
        place.ok_or_else(|| {
            malformed(format!("its first line has to name the columns `{}` and `{}`", PATHS[0], ASSET_IDS[0]))
        })
    };
    let (paths, asset_ids) = (column(PATHS)?, column(ASSET_IDS)?);
    let mut rows: BTreeMap<String, (usize, Row)> = BTreeMap::new();
    for (line, fields) in records.filter(|(_, fields)| fields.iter().any(|field| !field.trim().is_empty())) {
        let field = |place: usize| fields.get(place).map(|field| field.trim()).unwrap_or_default();
        let path = slashed(field(paths));
        if path.is_empty() || path.contains(char::is_control) {
            return Err(malformed(format!("line {line} has no path in the column `{}`", PATHS[0])));
        }
        let asset_id = AssetId::of_text(field(asset_ids))
            .ok_or_else(|| malformed(format!("line {line} has no asset ID in the column `{}`", ASSET_IDS[0])))?;
        match rows.get(&path) {
            Some((first, row)) if row.asset_id != asset_id => {
                return Err(malformed(format!("lines {first} and {line} give one file two asset IDs")));
            }
            Some(_) => {}
            None => {
                rows.insert(path.clone(), (line, Row::of_path(&path, None, asset_id)));
            }
        }
    }
    let input = Input {
        name: "list".to_owned(),
        files: FileSet::Paths,
        rows: rows.into_values().map(|(_, row)| row).collect(),
        existing: Vec::new(),
        outputs: Vec::new(),
        images: Treatment::AsItIs,
        is_packed: false,
    };
    Ok(Source { tool: Tool::List, creator: None, inputs: vec![input], findings: Vec::new(), missing_record: None })
}

fn malformed(why: String) -> ReadError {
    ReadError::malformed(FILE, why)
}

/// Splits CSV (RFC 4180) into records, each with the number of its first line.
fn records(text: &str, separator: char) -> Result<Vec<(usize, Vec<String>)>, ReadError> {
    let (mut records, mut fields, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut first, mut is_quoted) = (1_usize, 1, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => field.extend(characters.next()),
            '"' if is_quoted => is_quoted = false,
            '"' if field.is_empty() => is_quoted = true,
            '\r' if !is_quoted => {}
            '\n' if !is_quoted => {
                fields.push(take(&mut field));
                records.push((first, take(&mut fields)));
                line += 1;
                first = line;
            }
            _ if character == separator && !is_quoted => fields.push(take(&mut field)),
            _ => {
                line += usize::from(character == '\n');
                field.push(character);
            }
        }
    }
    if is_quoted {
        return Err(malformed(format!("a quote of the row in line {first} has no end")));
    }
    if !field.is_empty() || !fields.is_empty() {
        fields.push(field);
        records.push((first, fields));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_in_the_forms_that_programs_write() {
        let check = |text: &str, wanted: &[(&str, u64)]| {
            let source = read(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
            let rows = source.inputs[0].rows.iter();
            let rows: Vec<(&str, u64)> = rows.map(|row| (row.path.as_deref().unwrap(), row.asset_id.get())).collect();
            assert_eq!(rows, wanted, "{text:?}");
        };
        let both = [("models/a.fbx", 8), ("ui/a.png", 7)];
        check("path,asset_id\nui/a.png,7\nmodels/a.fbx,8\n", &both);
        check("\u{feff}Asset_ID;Name;Path\r\n7;close;./ui/a.png\r\n\r\n8;;models\\a.fbx", &both);
        check("file\tid\nui/a.png\trbxassetid://7\nmodels/a.fbx\t 8 \nui/a.png\t7\n", &both);
        check("\"path\",\"id\"\n\"a, \"\"b\"\".png\",9\n", &[("a, \"b\".png", 9)]);
        check("path,id\nui/a.png,https://create.roblox.com/store/asset/7/close\nmodels/a.fbx,8\n", &both);
        check("path,id\n", &[]);
    }

    #[test]
    fn a_list_that_is_none_is_refused_by_its_line_and_never_quoted() {
        let check = |text: &str, wanted: &str| {
            let error = read(text).unwrap_err().to_string();
            assert_eq!(error, format!("the list can't be read: {wanted}"), "{text:?}");
        };
        check("", "its first line has to name the columns `path` and `asset_id`");
        check("secret,7\nui/a.png,8\n", "its first line has to name the columns `path` and `asset_id`");
        check("path,id\nui/a.png,secret\n", "line 2 has no asset ID in the column `asset_id`");
        check("path,id\n\"u\ni\",1\nui/a.png,0\n", "line 2 has no path in the column `path`");
        check("path,id\nui/a.png,0\n", "line 2 has no asset ID in the column `asset_id`");
        check("path,id\n,5\n", "line 2 has no path in the column `path`");
        check("path,id\nui/a.png\n", "line 2 has no asset ID in the column `asset_id`");
        check("path,id\nui/a.png,5\n\nui/a.png,6\n", "lines 2 and 4 give one file two asset IDs");
        check("path,id\n\"ui/a.png,5\n", "a quote of the row in line 2 has no end");
    }
}
