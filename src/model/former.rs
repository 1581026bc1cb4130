//! The names under which the assets of an earlier owner are kept after a change of `[creator]`:
//! `ADDRESS@OWNER`.
//!
//! The lockfile shows these names, so they are the same on every machine and are read back here.

use super::address::Address;
use super::ids::Creator;

/// The names for what `address` had under `owner`, in the order in which they are tried:
/// `ADDRESS@OWNER`, then `ADDRESS@OWNER#2` and so on. Ends where a name would be too long for an
/// address.
pub(crate) fn names(address: &Address, owner: Creator) -> impl Iterator<Item = Address> {
    let names = (1_u32..).map(move |number| match number {
        1 => format!("{address}@{owner}"),
        number => format!("{address}@{owner}#{number}"),
    });
    names.map_while(|name| Address::new(&name).ok())
}

/// Returns the address whose assets under `owner` are kept as `former`; `None` when that is none of
/// the [`names`].
pub(crate) fn address_of(former: &Address, owner: Creator) -> Option<Address> {
    let (address, rest) = former.as_str().rsplit_once('@')?;
    let rest = rest.strip_prefix(&owner.to_string())?;
    let number = rest.strip_prefix('#').is_some_and(|number| number.parse::<u32>().is_ok_and(|number| number > 1));
    (rest.is_empty() || number).then(|| Address::new(address).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::{GroupId, UserId};

    #[test]
    fn the_name_of_old_assets_tells_their_owner() {
        let (user, group) = (Creator::User(UserId::new(1).unwrap()), Creator::Group(GroupId::new(7).unwrap()));
        let check = |former: &str, owner: Creator, expected: Option<&str>| {
            let found = address_of(&Address::new(former).unwrap(), owner);
            assert_eq!(found.as_ref().map(Address::as_str), expected, "{former}");
        };
        check("sword@user:1", user, Some("sword"));
        check("ui/close@2x.png@group:7", group, Some("ui/close@2x.png"));
        check("sword@user:1#2", user, Some("sword"));
        check("sword@user:1#1", user, None);
        check("sword@user:12", user, None);
        check("sword@user:1", group, None);
        check("sword", user, None);
        let sword = Address::new("sword").unwrap();
        for name in names(&sword, user).take(3) {
            assert_eq!(address_of(&name, user).as_ref(), Some(&sword), "{name}");
        }
    }
}
