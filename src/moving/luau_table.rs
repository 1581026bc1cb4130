//! Reads asset IDs from a module that Tungsten wrote: one line per entry, nested tables for folders
//! and for parts of a sheet. It doesn't read Luau in general.

use crate::model::ids::AssetId;

/// A value of the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableEntry {
    /// Its keys, joined by `/`.
    pub key: String,
    pub asset_id: AssetId,
    /// Whether it is part of a packed sheet.
    pub is_slice: bool,
}

/// Reads every asset of the module. Lines that Tungsten doesn't write are skipped.
pub(super) fn read(text: &str) -> Vec<TableEntry> {
    let (mut open, mut leaves) = (Vec::<String>::new(), Vec::new());
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        if matches!(line, "}" | "},") {
            open.pop();
            continue;
        }
        let Some((key, value)) = entry(line) else { continue };
        if value == "{" {
            open.push(key);
            continue;
        }
        let Some(asset_id) = id(value) else { continue };
        // The module's own table has its name as a key: `local NAME = {`.
        let folders = open.get(1..).unwrap_or_default();
        // A folder with an image of that name reads the same; the next line distinguishes a sheet.
        let is_slice =
            key == "Image" && !folders.is_empty() && lines.peek().is_some_and(|next| next.starts_with("ImageRect"));
        let key = if is_slice { folders.join("/") } else { [folders, &[key]].concat().join("/") };
        leaves.push(TableEntry { key, asset_id, is_slice });
    }
    leaves
}

fn entry(line: &str) -> Option<(String, &str)> {
    if let Some(rest) = line.strip_prefix("[\"") {
        let (key, value) = rest.split_once("\"] = ")?;
        return Some((key.to_owned(), value));
    }
    let (key, value) = line.strip_prefix("local ").unwrap_or(line).split_once(" = ")?;
    Some((key.to_owned(), value))
}

fn id(value: &str) -> Option<AssetId> {
    value.strip_prefix("\"rbxassetid://")?.trim_end_matches([',', '"']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, u64, bool)]) {
        let leaves = read(text);
        let found: Vec<_> = leaves.iter().map(|leaf| (leaf.key.as_str(), leaf.asset_id.get(), leaf.is_slice)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn keys_are_read_flat_and_nested() {
        check(
            "-- x\n\nlocal icons = {\n\t[\"48/a-b\"] = \"rbxassetid://5\",\n\tplain = \"rbxassetid://6\",\n}\n\nreturn icons",
            &[("48/a-b", 5, false), ("plain", 6, false)],
        );
        check(
            "local icons = {\n\t[\"48\"] = {\n\t\tup = \"rbxassetid://5\",\n\t},\n\tdown = \"rbxassetid://6\",\n}\n",
            &[("48/up", 5, false), ("down", 6, false)],
        );
    }

    #[test]
    fn parts_of_a_sheet_are_recognized() {
        check(
            "local icons = {\n\tup = {\n\t\tImage = \"rbxassetid://5\",\n\t\tImageRectOffset = Vector2.new(0, 0),\n\t},\n}\n",
            &[("up", 5, true)],
        );
    }

    #[test]
    fn other_lines_are_skipped() {
        check("return {}", &[]);
        check("}\n}\nx = \"rbxassetid://0\"\n[\"a\n", &[]);
    }
}
