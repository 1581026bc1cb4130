//! An owner as a person gives it: `user:ID`, `group:ID`, or the address of their page on Roblox.

use crate::model::ids::{Creator, GroupId, UserId};

/// What a text says about an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnerText {
    /// The owner.
    Is(Creator),
    /// A number alone, which users and groups have.
    Number(u64),
    /// The page of something else that belongs to an owner.
    OtherPage,
    /// Nothing.
    Neither,
}

impl OwnerText {
    /// Reads what a person typed or pasted.
    pub(super) fn read(text: &str) -> Self {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        if let Ok(creator) = text.parse() {
            return Self::Is(creator);
        }
        if let Ok(number) = text.parse::<u64>() {
            return if number > 0 { Self::Number(number) } else { Self::Neither };
        }
        match page(&text.to_lowercase()) {
            Some(path) => in_page(&path).map_or(Self::OtherPage, Self::Is),
            None => Self::Neither,
        }
    }

    /// Returns what to write instead, for a person.
    pub(super) fn advice(self) -> String {
        match self {
            Self::Is(_) | Self::Neither => {
                "write user:ID or group:ID, such as user:1234567, or paste the address of the owner's page, such as https://www.roblox.com/users/1234567/profile".to_owned()
            }
            Self::Number(number) => {
                format!("is it a user or a group? Write user:{number} or group:{number}")
            }
            Self::OtherPage => {
                "this page doesn't name its owner: open the profile or the group that owns it, and paste that page's address".to_owned()
            }
        }
    }
}

/// What follows the host of an address on Roblox's site.
fn page(text: &str) -> Option<String> {
    let text = text.strip_prefix("https://").or(text.strip_prefix("http://")).unwrap_or(text);
    let (host, path) = text.split_once('/')?;
    (host == "roblox.com" || host.ends_with(".roblox.com")).then(|| path.to_owned())
}

/// The owner whose page it is, or whose group the dashboard shows.
fn in_page(path: &str) -> Option<Creator> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let query = query.split('#').next().unwrap_or_default();
    let group = |id: &str| id.parse::<GroupId>().ok().map(Creator::Group);
    let parts: Vec<&str> = path.split(['/', '#']).collect();
    let of_path = parts.windows(2).find_map(|pair| match pair {
        ["users", id] => id.parse::<UserId>().ok().map(Creator::User),
        ["groups" | "communities", id] => group(id),
        _ => None,
    });
    of_path.or_else(|| query.split('&').find_map(|part| group(part.strip_prefix("groupid=")?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_owners_are_read_and_a_number_alone_is_not_guessed() {
        let is = |text: &str| match OwnerText::read(text) {
            OwnerText::Is(creator) => creator.to_string(),
            other => format!("{other:?}"),
        };
        for (text, expected) in [
            ("user:5", "user:5"),
            (" group : 7 ", "group:7"),
            ("https://www.roblox.com/users/123/profile", "user:123"),
            ("https://www.roblox.com/de/users/123/profile?x=1#top", "user:123"),
            ("roblox.com/communities/456/My-Group", "group:456"),
            ("https://www.roblox.com/groups/456", "group:456"),
            ("https://www.roblox.com/groups/456#!/about", "group:456"),
            ("https://create.roblox.com/dashboard/creations?activeTab=Image&groupId=456", "group:456"),
            ("https://www.roblox.com/games/920587237/Adopt-Me", "OtherPage"),
            ("https://www.roblox.com/users/0/profile", "OtherPage"),
            ("https://example.com/users/123/profile", "Neither"),
            ("https://evilroblox.com/users/123/profile", "Neither"),
            ("123", "Number(123)"),
            ("0", "Neither"),
            ("bob", "Neither"),
            ("", "Neither"),
        ] {
            assert_eq!(is(text), expected, "{text}");
        }
    }
}
