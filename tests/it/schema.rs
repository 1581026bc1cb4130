//! Holds JSON documents against the schema that ships in `docs/`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

/// A validator for each definition of the schema.
static VALIDATORS: LazyLock<BTreeMap<String, Validator>> = LazyLock::new(|| {
    let mut schema: Value = serde_json::from_str(include_str!("../../docs/json.schema.json")).unwrap();
    close(&mut schema);
    let definitions = &schema["$defs"];
    let validator = |name: &String| {
        let one = json!({ "$schema": schema["$schema"], "$ref": format!("#/$defs/{name}"), "$defs": definitions });
        (name.clone(), jsonschema::validator_for(&one).unwrap())
    };
    definitions.as_object().unwrap().keys().map(validator).collect()
});

/// Forbids keys that the schema doesn't name. Other programs must accept new keys, but a new key
/// that the schema lacks fails here.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Checks the document that a command printed.
#[track_caller]
pub fn check(args: &[&str], document: &Value) {
    let name = match args {
        ["import", ..] if args.contains(&"--from") => "importFrom",
        [name, ..] => name,
        [] => panic!("no command"),
    };
    let validator = VALIDATORS.get(name).unwrap_or_else(|| panic!("the schema has no definition of `{name}`"));
    let errors: Vec<String> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "docs/json.schema.json doesn't fit `{}`:\n{}", args.join(" "), errors.join("\n"));
}
