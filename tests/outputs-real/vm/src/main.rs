//! Requires modules in the Luau VM and compares what they return, key by key.
//!
//! `outputs-real same ONE TWO [NAME]`: two files give the same table. A `.json` file stands for itself, without the key that marks it
//! as generated; a `.luau` file is run, and where NAME is given, the table is the member NAME of
//! what it returns (a compiled TypeScript module). Numbers and strings of digits are equal, since
//! JSON writes IDs as strings.

use std::path::Path;
use std::process::ExitCode;

use mlua::{Lua, Table, Value};
use serde_json::{Map, Value as Json};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (one, two, name) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["same", one, two] => (one, two, None),
        ["same", one, two, name] => (one, two, Some(name)),
        _ => {
            eprintln!("usage: outputs-real same ONE TWO [NAME]");
            return ExitCode::from(64);
        }
    };
    match compare(one, two, name) {
        Ok(keys) => {
            println!("{one} and {two}: {keys} values are equal");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{one} and {two}: {why}");
            ExitCode::FAILURE
        }
    }
}

/// How many values are equal, or the first that isn't.
fn compare(one: &str, two: &str, name: Option<&str>) -> Result<usize, String> {
    let (one, two) = (read(one, name)?, read(two, name)?);
    let mut path = Vec::new();
    same(&one, &two, &mut path)
}

fn same(one: &Json, two: &Json, path: &mut Vec<String>) -> Result<usize, String> {
    match (one, two) {
        (Json::Object(one), Json::Object(two)) => {
            if let Some(key) = one.keys().find(|key| !two.contains_key(*key)).or_else(|| two.keys().find(|key| !one.contains_key(*key))) {
                return Err(format!("only one has {:?}", [path.clone(), vec![key.clone()]].concat()));
            }
            let mut keys = 0;
            for (key, value) in one {
                path.push(key.clone());
                keys += same(value, &two[key], path)?;
                path.pop();
            }
            Ok(keys)
        }
        (one, two) if one == two => Ok(1),
        (one, two) => Err(format!("{path:?} is {one} here and {two} there")),
    }
}

fn read(path: &str, name: Option<&str>) -> Result<Json, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    if Path::new(path).extension().is_some_and(|extension| extension == "json") {
        let mut json: Json = serde_json::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
        let mark = json.as_object_mut().and_then(|table| table.remove("@generated"));
        mark.ok_or("the mark is missing")?;
        return Ok(json);
    }
    let value = run(&text, name).map_err(|error| format!("{path}: {error}"))?;
    Ok(value)
}

/// Runs a module as Roblox does: its one result.
fn run(text: &str, name: Option<&str>) -> mlua::Result<Json> {
    let lua = Lua::new();
    // What a game has and the bare VM hasn't.
    let content = lua.create_table()?;
    content.set("none", "")?;
    content.set("fromUri", lua.create_function(|_, uri: mlua::LuaString| Ok(uri))?)?;
    lua.globals().set("Content", content)?;
    let mut table: Table = lua.load(text).eval()?;
    if let Some(name) = name {
        table = table.get(name)?;
    }
    json(&table)
}

fn json(table: &Table) -> mlua::Result<Json> {
    let mut object = Map::new();
    for pair in table.pairs::<mlua::LuaString, Value>() {
        let (key, value) = pair?;
        let value = match value {
            Value::Table(inner) => json(&inner)?,
            Value::String(text) => Json::from(text.to_str()?.to_owned()),
            Value::Integer(number) => Json::from(number.to_string()),
            Value::Number(number) => Json::from(format!("{number:.0}")),
            other => return Err(mlua::Error::runtime(format!("a {} is no value of an output", other.type_name()))),
        };
        object.insert(key.to_str()?.to_owned(), value);
    }
    Ok(Json::Object(object))
}
