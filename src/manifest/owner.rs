//! Owners of assets, and the others that may use them: `[creator]`, `creator` and `grants`.

use toml::de::DeValue;

use super::diagnostic::{ErrorSink, ManifestError};
use super::read::{KeyValue, TableReader, digits_shown};
use crate::model::desired::Grantee;
use crate::model::ids::{Creator, GroupId, IdError, UserId};

/// Where a person finds the number of a key.
pub(super) fn where_to_find(key: &str) -> Option<&'static str> {
    match key {
        "user_id" => Some("the number is in the address of your profile: roblox.com/users/1234567/profile"),
        "group_id" => Some("the number is in the address of the group's page: roblox.com/communities/7654321/…"),
        _ => None,
    }
}

/// Reads an owner's ID, and says where it is to be found if there is none.
fn read_id<T>(field: &KeyValue<'_>, make: impl Fn(u64) -> Result<T, IdError>, report: &mut ErrorSink) -> Option<T> {
    let is_word = matches!(field.value.get_ref(), DeValue::String(text) if !text.bytes().all(|b| b.is_ascii_digit()));
    let none = match field.value.get_ref() {
        DeValue::Integer(number) if number.as_str() == "0" || number.as_str().starts_with('-') => Some(number.as_str()),
        _ => None,
    };
    match where_to_find(field.name).filter(|_| is_word || none.is_some()) {
        Some(place) if is_word => {
            report.add(field.wrong_kind("a number").hint(place));
            None
        }
        Some(place) => {
            let number = digits_shown(none.unwrap_or_default());
            report.add(field.fault(format!("`{}` can't be {number}", field.name)).hint(place));
            None
        }
        None => field.id(make, report),
    }
}

/// Asphalt writes an owner as a type and an ID.
fn of_asphalt(fields: &mut TableReader<'_>, report: &mut ErrorSink) -> bool {
    let Some(id) = fields.take_unlisted("id") else { return false };
    let group = fields.take_unlisted("type").is_some_and(
        |field| matches!(field.value.get_ref(), DeValue::String(text) if text.eq_ignore_ascii_case("group")),
    );
    let key = if group { "group_id" } else { "user_id" };
    let number = match id.value.get_ref() {
        DeValue::Integer(number) => number.as_str().chars().take(20).collect(),
        _ => "1234567".to_owned(),
    };
    let fault = ManifestError::new(id.key.clone(), format!("{} has no key `id`", fields.what()));
    report.add(fault.hint(format!("write {key} = {number} in place of `type` and `id`")));
    true
}

/// Reads `user_id` or `group_id`: exactly one of the two.
pub(super) fn read_creator(mut fields: TableReader<'_>, report: &mut ErrorSink) -> Option<Creator> {
    if of_asphalt(&mut fields, report) {
        return None;
    }
    let is_told = fields.has_any(&["user", "group"]);
    let user = fields.take("user_id");
    let group = fields.take("group_id");
    let (what, place) = (fields.what().to_owned(), fields.place.clone());
    fields.finish(report);
    let user_id = user.as_ref().and_then(|field| read_id(field, UserId::new, report));
    let group_id = group.as_ref().and_then(|field| read_id(field, GroupId::new, report));
    match (user, group) {
        (Some(user), Some(group)) => {
            let (first, second) = if user.key.start < group.key.start { (user, group) } else { (group, user) };
            let fault = ManifestError::new(second.key, format!("{what} names both a user and a group"));
            report.add(fault.also(first.key, "the other one").hint("keep the one that owns the assets"));
            None
        }
        (None, None) if is_told => None,
        (None, None) => {
            let fault = ManifestError::new(place, format!("{what} names no owner"));
            report.add(fault.hint("set `user_id` or `group_id`"));
            None
        }
        (Some(_), None) => user_id.map(Creator::User),
        (None, Some(_)) => group_id.map(Creator::Group),
    }
}

/// Reads `grants`, leaving out repetitions.
pub(super) fn read_grants(field: &KeyValue<'_>, report: &mut ErrorSink) -> Option<Vec<Grantee>> {
    let list = field.list(report)?;
    let mut grants = Vec::new();
    for value in list.iter() {
        let item = KeyValue { name: field.name, key: value.span(), value };
        let Some(fields) = item.table("a grant", report) else { continue };
        if let Some(grantee) = read_grantee(fields, report)
            && !grants.contains(&grantee)
        {
            grants.push(grantee);
        }
    }
    Some(grants)
}

fn read_grantee(mut fields: TableReader<'_>, report: &mut ErrorSink) -> Option<Grantee> {
    let universe = fields.take("universe");
    let user = fields.take("user");
    let group = fields.take("group");
    let place = fields.place.clone();
    fields.finish(report);
    let named = [&universe, &user, &group].into_iter().flatten().count();
    let universe = universe.and_then(|field| {
        let number = field.number(report)?;
        if number == 0 {
            report.add(
                field.fault("`0` is not a universe ID").hint("a universe ID is a positive number that Roblox gave"),
            );
        }
        (number > 0).then_some(number)
    });
    let user = user.and_then(|field| field.id(UserId::new, report));
    let group = group.and_then(|field| field.id(GroupId::new, report));
    if named != 1 {
        let message = if named == 0 { "a grant names nobody" } else { "a grant names more than one" };
        report.add(ManifestError::new(place, message).hint("write one of `universe`, `user` or `group` in each grant"));
        return None;
    }
    universe.map(Grantee::Universe).or(user.map(Grantee::User)).or(group.map(Grantee::Group))
}
