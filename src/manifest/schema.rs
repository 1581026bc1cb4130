//! The JSON schema of the manifest, for editors: which keys each table has, and what they may hold.
//!
//! It is made of the same tables of words as the reader, and a test holds each key of one against
//! the other. It can't say everything that the reader refuses: addresses, patterns and files. Read
//! next: `document`, which reads the same tables.

use serde_json::{Map, Value, json};

use super::asset::PRIVACY;
use super::outputs::{MISSING, STYLES, TYPES, VALUES};
use super::policy::{AMBIGUOUS, DRIFT, LEAVE, MODERATED};
use crate::model::asset::AssetType;
use crate::model::metadata::{MAX_DESCRIPTION, MAX_DISPLAY_NAME, MAX_SOCIAL_LINKS, SocialNetwork};

/// A key of a table: its name, what it may hold, and what it means.
type Key = (&'static str, Value, &'static str);

fn text() -> Value {
    json!({ "type": "string" })
}

fn texts() -> Value {
    json!({ "type": "array", "items": text() })
}

fn id() -> Value {
    json!({ "type": "integer", "minimum": 1 })
}

fn boolean() -> Value {
    json!({ "type": "boolean" })
}

fn one_of<T>(words: &[(&'static str, T)]) -> Value {
    let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    json!({ "enum": words })
}

/// A table with exactly these keys.
fn table(keys: Vec<Key>, required: &[&str]) -> Value {
    let properties: Map<String, Value> = keys
        .into_iter()
        .map(|(name, mut value, about)| {
            if let (Some(fields), false) = (value.as_object_mut(), about.is_empty()) {
                fields.insert("description".to_owned(), json!(about));
            }
            (name.to_owned(), value)
        })
        .collect();
    json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    })
}

/// A table whose keys are the user's own words.
fn named(value: Value) -> Value {
    json!({ "type": "object", "additionalProperties": value })
}

/// Adds what all of these have to satisfy: exactly one of these keys.
fn exactly_one(mut table: Value, keys: &[&str]) -> Value {
    let choices: Vec<Value> = keys.iter().map(|key| json!({ "required": [key] })).collect();
    if let Some(fields) = table.as_object_mut() {
        fields.insert("oneOf".to_owned(), Value::Array(choices));
    }
    table
}

fn creator() -> Value {
    let keys = vec![
        ("user_id", id(), "the number in the address of your profile"),
        ("group_id", id(), "the number in the address of the group's page"),
    ];
    exactly_one(table(keys, &[]), &["user_id", "group_id"])
}

fn grants() -> Value {
    let keys = vec![("universe", id(), ""), ("user", id(), ""), ("group", id(), "")];
    json!({ "type": "array", "items": exactly_one(table(keys, &[]), &["universe", "user", "group"]) })
}

fn social_links() -> Value {
    let link = table(vec![("title", text(), ""), ("uri", text(), "the address, with https://")], &["uri"]);
    let link = json!({ "oneOf": [link, { "const": "" }] });
    let networks = SocialNetwork::ALL.into_iter().map(|network| (network.key(), link.clone(), "")).collect();
    let mut links = table(networks, &[]);
    if let Some(fields) = links.as_object_mut() {
        // Those that are emptied don't count, so this bound is generous.
        fields.insert("maxProperties".to_owned(), json!(MAX_SOCIAL_LINKS + SocialNetwork::ALL.len()));
    }
    links
}

fn previews() -> Value {
    let preview =
        table(vec![("asset", text(), "an Image: its name, or \"assets/123\""), ("alt_text", text(), "")], &["asset"]);
    json!({ "type": "array", "items": preview })
}

/// The keys that assets, globs and defaults share.
fn shared_keys() -> Vec<Key> {
    vec![
        ("description", json!({ "type": "string", "maxLength": MAX_DESCRIPTION }), "\"\" empties it"),
        ("expected_price", json!({ "type": "integer", "minimum": 0 }), "Robux: an upload fails rather than costs more"),
        ("prevent_replace", boolean(), "a change that needs a new asset ID waits for you"),
        ("creator", creator(), "another owner than [creator]"),
        ("grants", grants(), "who may use it"),
        ("social_links", social_links(), "at most three"),
    ]
}

/// The keys that assets and globs share.
fn entry_keys() -> Vec<Key> {
    let types: Vec<&str> = AssetType::ALL.map(AssetType::name).to_vec();
    let mut keys = vec![
        ("path", text(), "relative to this file's folder, with `/` between folders"),
        ("type", json!({ "enum": types }), "default: what the file is"),
        (
            "display_name",
            json!({ "type": "string", "minLength": 1, "maxLength": MAX_DISPLAY_NAME }),
            "default: the file's name",
        ),
        ("privacy", one_of(&PRIVACY), "at the first upload only; \"open_use\" can't be undone"),
    ];
    keys.extend(shared_keys());
    keys
}

fn asset() -> Value {
    let mut keys = entry_keys();
    keys.push(("icon", text(), "an Image: its name, or \"assets/123\"; \"\" clears it"));
    keys.push(("previews", previews(), "Images; [] clears them"));
    table(keys, &["path"])
}

fn glob() -> Value {
    let mut keys = entry_keys();
    keys.push(("exclude", texts(), "patterns of files to leave out"));
    table(keys, &["path"])
}

fn policy() -> Value {
    let keys = vec![
        ("drift", one_of(&DRIFT), "what is done about changes made on Roblox"),
        ("removed", one_of(&LEAVE), "an asset that you removed from this file"),
        ("replaced", one_of(&LEAVE), "the old asset when a new one takes its place"),
        (
            "archive_after",
            json!({ "type": "string", "pattern": "^[0-9]+[smhdw]$" }),
            "such as \"14d\"; \"0d\": at once",
        ),
        ("ambiguous_create", one_of(&AMBIGUOUS), "the answer to an upload got lost"),
        ("moderated_name", one_of(&MODERATED), "Roblox refuses a display name"),
    ];
    table(keys, &[])
}

fn output() -> Value {
    let keys = vec![
        ("path", text(), "its extension is the language: .luau, .lua, .ts, .d.ts or .json"),
        ("name", text(), "the table's name in the file"),
        ("style", one_of(&STYLES), ""),
        ("base", text(), "cut off the front of each address"),
        ("strip_extensions", boolean(), ""),
        ("value", one_of(&VALUES), ""),
        ("types", one_of(&TYPES), "for TypeScript"),
        ("missing", one_of(&MISSING), "an address without an asset yet"),
        ("include", texts(), "patterns of addresses; default: all"),
        ("exclude", texts(), "patterns of addresses to leave out"),
    ];
    table(keys, &["path"])
}

/// Returns the schema.
pub(crate) fn schema() -> Value {
    let pinned = table(vec![("asset_id", id(), "")], &["asset_id"]);
    let pin = json!({ "oneOf": [id(), pinned] });
    let keys = vec![
        ("creator", creator(), "who owns the assets: exactly one of the two"),
        ("policy", policy(), ""),
        ("defaults", table(shared_keys(), &[]), "keys for all assets and globs that don't set them"),
        ("assets", named(asset()), "[assets.NAME]: one asset"),
        ("globs", named(glob()), "[globs.NAME]: many files at once"),
        ("existing", named(id()), "assets that Macadam leaves alone: name = asset ID"),
        ("outputs", json!({ "type": "array", "items": output() }), "files with the asset IDs, for the game's code"),
        ("notify", table(vec![("webhook_env", text(), "the name of a variable")], &[]), "not built yet"),
        ("pins", named(pin), "assets that stay at an earlier revision"),
    ];
    let mut schema = table(keys, &["creator"]);
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        fields.insert("title".to_owned(), json!("assets.toml of Macadam"));
    }
    schema
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test reads the shipped files")]
mod tests {
    use std::path::Path;

    use super::*;

    /// What of `value` the schema refuses; as much of JSON schema as this one uses.
    fn refused(schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut wrong = |is_wrong: bool, why: &str| {
            if is_wrong {
                found.push(format!("{at}: {why}"));
            }
        };
        if let Some(kind) = schema.get("type").and_then(Value::as_str) {
            let fits = match kind {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                "boolean" => value.is_boolean(),
                other => panic!("the test knows no {other}"),
            };
            wrong(!fits, "wrong type");
        }
        wrong(
            schema.get("enum").is_some_and(|words| !words.as_array().unwrap().contains(value)),
            "not one of the words",
        );
        wrong(schema.get("const").is_some_and(|only| only != value), "not the constant");
        let least = schema.get("minimum").and_then(Value::as_i64);
        wrong(least.is_some_and(|least| value.as_i64().is_some_and(|number| number < least)), "too small");
        let length = value.as_str().map(|text| text.chars().count() as u64);
        wrong(schema.get("maxLength").and_then(Value::as_u64).is_some_and(|most| length > Some(most)), "too long");
        wrong(
            schema
                .get("minLength")
                .and_then(Value::as_u64)
                .is_some_and(|least| length.is_some_and(|length| length < least)),
            "too short",
        );
        let is_duration = |text: &str| {
            let digits = text.trim_end_matches(['s', 'm', 'h', 'd', 'w']);
            digits.len() + 1 == text.len() && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
        };
        wrong(schema.get("pattern").is_some() && !value.as_str().is_some_and(is_duration), "not the pattern");
        if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
            let fitting = choices.iter().filter(|choice| refused(choice, value, at).is_empty()).count();
            wrong(fitting != 1, "not exactly one of the forms");
        }
        for key in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            wrong(value.get(key.as_str().unwrap()).is_none(), &format!("lacks {key}"));
        }
        for (key, inside) in value.as_object().into_iter().flatten() {
            let at = format!("{at}.{key}");
            match (schema.get("properties").and_then(|known| known.get(key)), schema.get("additionalProperties")) {
                (Some(known), _) => found.extend(refused(known, inside, &at)),
                (None, Some(Value::Bool(false))) => found.push(format!("{at}: unknown key")),
                (None, Some(all)) => found.extend(refused(all, inside, &at)),
                (None, None) => {}
            }
        }
        if let Some(items) = schema.get("items") {
            for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                found.extend(refused(items, item, &format!("{at}[{number}]")));
            }
        }
        found
    }

    fn json_of(text: &str) -> Value {
        serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
    }

    fn is_read(text: &str) -> bool {
        super::super::parse(text.as_bytes(), "assets.toml").is_ok()
    }

    #[test]
    fn the_shipped_schema_is_that_of_the_code() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/assets.schema.json");
        let text = format!("{:#}\n", schema());
        if std::env::var_os("MACADAM_WRITE_SCHEMA").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let shipped = std::fs::read_to_string(path).unwrap_or_default();
        assert!(shipped == text, "write it anew: MACADAM_WRITE_SCHEMA=1 cargo test --lib manifest::schema");
    }

    #[test]
    fn what_the_reader_takes_is_valid() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for file in ["assets.toml.example", "examples/quickstart/assets.toml", "tests/outputs-real/game/assets.toml"] {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            assert!(is_read(&text), "{file}");
            assert_eq!(refused(&schema(), &json_of(&text), ""), Vec::<String>::new(), "{file}");
        }
    }

    #[test]
    fn what_is_not_valid_the_reader_refuses_and_the_other_way_round() {
        let owner = "[creator]\nuser_id = 1\n";
        for (text, is_valid) in [
            (String::new(), false),
            ("[creator]\n".to_owned(), false),
            ("[creator]\nuser_id = 1\ngroup_id = 2\n".to_owned(), false),
            ("[creator]\nuser_id = 0\n".to_owned(), false),
            ("[creator]\nuser_id = \"1\"\n".to_owned(), false),
            ("[creator]\ntype = \"user\"\nid = 1\n".to_owned(), false),
            (owner.to_owned(), true),
            (format!("{owner}[asset.a]\npath = \"a.png\"\n"), false),
            (format!("{owner}[assets]\npath = \"a.png\"\n"), false),
            (format!("{owner}[assets.a]\n"), false),
            (format!("{owner}[assets.a]\npath = \"a.png\"\nname = \"A\"\n"), false),
            (format!("{owner}[assets.a]\npath = \"a.png\"\ntype = \"image\"\n"), false),
            (format!("{owner}[assets.a]\npath = \"a.png\"\ndisplay_name = \"\"\n"), false),
            (format!("{owner}[assets.a]\npath = \"a.png\"\nprevent_replace = \"yes\"\n"), false),
            (format!("{owner}[assets.a]\npath = \"a.png\"\nexpected_price = -1\n"), false),
            (format!("{owner}[assets.a]\npath = \"a.png\"\ngrants = [{{ user = 1, group = 2 }}]\n"), false),
            (format!("{owner}[globs.a]\npath = \"*.png\"\nicon = \"b\"\n"), false),
            (format!("{owner}[defaults]\npath = \"a.png\"\n"), false),
            (format!("{owner}[policy]\narchive_after = 7\n"), false),
            (format!("{owner}[policy]\narchive_after = \"7\"\n"), false),
            (format!("{owner}[policy]\nremoved = \"delete\"\n"), false),
            (format!("{owner}[outputs]\npath = \"a.luau\"\n"), false),
            (format!("{owner}[[outputs]]\npath = \"a.luau\"\nstyle = \"deep\"\n"), false),
            (format!("{owner}[existing]\na = \"1\"\n"), false),
            (format!("{owner}[assets.a]\npath = \"a.rbxm\"\n[pins]\na = \"one\"\n"), false),
            (format!("{owner}[assets.a]\npath = \"a.rbxm\"\n[pins]\na = 1\n"), true),
            (format!("{owner}[notify]\nwebhook = \"x\"\n"), false),
        ] {
            assert_eq!(is_read(&text), is_valid, "the reader: {text}");
            let faults = refused(&schema(), &json_of(&text), "");
            assert_eq!(faults.is_empty(), is_valid, "the schema: {text}: {faults:?}");
        }
    }

    /// Every table with its keys, and a line that opens it in a manifest.
    fn tables() -> Vec<(&'static str, Value)> {
        let all = schema();
        let of = |pointer: &str| all.pointer(pointer).unwrap().clone();
        vec![
            ("[creator]", of("/properties/creator")),
            ("[policy]", of("/properties/policy")),
            ("[defaults]", of("/properties/defaults")),
            ("[assets.a]", of("/properties/assets/additionalProperties")),
            ("[globs.a]", of("/properties/globs/additionalProperties")),
            ("[[outputs]]", of("/properties/outputs/items")),
            ("[notify]", of("/properties/notify")),
        ]
    }

    #[test]
    fn the_reader_knows_the_keys_of_the_schema_and_no_others() {
        for (header, table) in tables() {
            let keys: Vec<&String> = table["properties"].as_object().unwrap().keys().collect();
            // The reader lists its keys where none is near.
            let told =
                super::super::parse(format!("{header}\nqqqqqqqqqqqqqqqqqqqqqqqq = 1\n").as_bytes(), "m").unwrap_err();
            let hint =
                told.iter().find_map(|fault| fault.hint.clone().filter(|hint| hint.starts_with("the keys here")));
            let hint = hint.unwrap_or_else(|| panic!("{header}: {told:?}"));
            let mut known: Vec<&str> = hint.split('`').skip(1).step_by(2).collect();
            let mut wanted: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
            known.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(known, wanted, "{header}");
        }
    }
}
