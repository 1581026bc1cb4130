//! Owners of assets, and the others that may use them: `[creator]`, `creator` and `grants`.

use super::diagnostic::{ErrorSink, ManifestError};
use super::read::{KeyValue, TableReader};
use crate::model::desired::Grantee;
use crate::model::ids::{Creator, GroupId, UserId};

/// Reads `user_id` or `group_id`: exactly one of the two.
pub(super) fn read_creator(mut fields: TableReader<'_>, report: &mut ErrorSink) -> Option<Creator> {
    let user = fields.take("user_id");
    let group = fields.take("group_id");
    let (what, place) = (fields.what().to_owned(), fields.place.clone());
    fields.finish(report);
    let user_id = user.as_ref().and_then(|field| field.id(UserId::new, report));
    let group_id = group.as_ref().and_then(|field| field.id(GroupId::new, report));
    match (user, group) {
        (Some(user), Some(group)) => {
            let (first, second) = if user.key.start < group.key.start { (user, group) } else { (group, user) };
            let fault = ManifestError::new(second.key, format!("{what} names both a user and a group"));
            report.add(fault.also(first.key, "the other one").hint("keep the one that owns the assets"));
            None
        }
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
