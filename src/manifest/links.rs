//! The links of an asset: its icon, its previews, its social links.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::diagnostic::{ErrorSink, ManifestError, id_fault, shown};
use super::read::{KeyValue, Value};
use super::suggest::{either, nearest};
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::metadata::{AssetRef, Preview, SocialLink, SocialNetwork};

const REF_HINT: &str = "write the name of an Image in this manifest, or an asset ID as \"assets/123\"";

/// The digits of a text that reads as an asset ID, `assets/123`.
pub(super) fn asset_id_digits(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("assets/")?;
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

/// Reads an icon; an empty text clears it.
pub(super) fn read_icon(field: &KeyValue<'_>, report: &mut ErrorSink) -> Option<Spanned<Option<AssetRef>>> {
    let reference = match field.value.get_ref() {
        DeValue::String(text) if text.is_empty() => None,
        _ => Some(read_ref(field, report)?),
    };
    Some(Spanned::new(field.place(), reference))
}

fn read_ref(field: &KeyValue<'_>, report: &mut ErrorSink) -> Option<AssetRef> {
    if let DeValue::Integer(number) = field.value.get_ref() {
        report.add(field.wrong_kind("a string in quotes").hint(format!("for an asset ID write \"assets/{number}\"")));
        return None;
    }
    let text = field.text(report)?;
    if let Some(digits) = text.strip_prefix("rbxassetid://") {
        let fault = field.fault(format!("`{}` can't be {}", field.name, shown(text)));
        report.add(fault.hint(format!("write \"assets/{}\"", digits.chars().take(20).collect::<String>())));
        return None;
    }
    if let Some(digits) = asset_id_digits(text) {
        let id = digits.parse::<AssetId>();
        return id.map(AssetRef::Id).map_err(|error| report.add(id_fault(field.place(), &error))).ok();
    }
    let address = Address::new(text);
    address.map(AssetRef::Address).map_err(|error| report.add(field.fault(error.to_string()).hint(REF_HINT))).ok()
}

/// Reads `previews`; an empty list clears them. The place of each is that of its `asset`.
pub(super) fn read_previews(field: &KeyValue<'_>, report: &mut ErrorSink) -> Option<Vec<Spanned<Preview>>> {
    if let DeValue::String(text) = field.value.get_ref()
        && text.is_empty()
    {
        report.add(field.wrong_kind("a list").hint("to clear the previews write []"));
        return None;
    }
    let list = field.list(report)?;
    Some(list.iter().filter_map(|value| read_preview(field.name, value, report)).collect())
}

fn read_preview(name: &str, value: &Value<'_>, report: &mut ErrorSink) -> Option<Spanned<Preview>> {
    let item = KeyValue { name, key: value.span(), value };
    if let DeValue::String(text) = value.get_ref() {
        let fault = super::read::wrong_kind(name, value, "a list of tables");
        let short: String = text.chars().take(60).collect();
        report.add(fault.hint(format!("write {{ asset = \"{}\" }}", short.escape_default())));
        return None;
    }
    let mut fields = item.table("a preview", report)?;
    let asset = fields.take("asset");
    let alt_text = fields.take("alt_text").and_then(|field| field.text(report)).filter(|text| !text.is_empty());
    fields.finish(report);
    let Some(asset) = asset else {
        report.add(ManifestError::new(value.span(), "a preview needs an `asset`").hint(REF_HINT));
        return None;
    };
    let reference = read_ref(&asset, report)?;
    Some(Spanned::new(asset.place(), Preview { asset: reference, alt_text: alt_text.map(str::to_owned) }))
}

/// Reads `social_links`: each a table, or an empty text that clears it.
pub(super) fn read_social_links(
    field: &KeyValue<'_>,
    report: &mut ErrorSink,
) -> BTreeMap<SocialNetwork, Option<SocialLink>> {
    let mut links = BTreeMap::new();
    let Some(fields) = field.table("`social_links`", report) else { return links };
    for link in fields.rest() {
        let Some(network) = SocialNetwork::ALL.into_iter().find(|network| network.key() == link.name) else {
            let keys = || SocialNetwork::ALL.into_iter().map(SocialNetwork::key);
            let fault =
                ManifestError::new(link.key, format!("{} is not a social link that Roblox knows", shown(link.name)));
            report.add(match nearest(link.name, keys()) {
                Some(near) => fault.hint(format!("did you mean `{near}`?")),
                None => fault.hint(format!("it can be {}", either(keys()))),
            });
            continue;
        };
        if let Some(read) = read_social_link(&link, report) {
            links.insert(network, read);
        }
    }
    links
}

/// `Some(None)` clears the link.
fn read_social_link(link: &KeyValue<'_>, report: &mut ErrorSink) -> Option<Option<SocialLink>> {
    if let DeValue::String(text) = link.value.get_ref() {
        if text.is_empty() {
            return Some(None);
        }
        let hint = format!("write {} = {{ uri = \"https://…\" }}, or \"\" to clear the link", link.name);
        report.add(link.wrong_kind("a table").hint(hint));
        return None;
    }
    let mut fields = link.table(format!("the social link `{}`", link.name), report)?;
    let title = fields.take("title").and_then(|field| field.text(report)).filter(|title| !title.is_empty());
    let uri = fields.take("uri");
    fields.finish(report);
    let Some(uri) = uri else {
        let fault = ManifestError::new(link.key.clone(), "a social link needs a `uri`");
        report.add(fault.hint(format!("to clear the link write {} = \"\"", link.name)));
        return None;
    };
    let text = uri.text(report)?;
    if !is_https_url(text) {
        let hint = if text.is_empty() {
            format!("to clear the link write {} = \"\"", link.name)
        } else {
            "write the whole URL, such as \"https://twitter.com/us\"".to_owned()
        };
        report.add(uri.fault(format!("{} is not an https:// address", shown(text))).hint(hint));
        return None;
    }
    Some(Some(SocialLink { title: title.map(str::to_owned), uri: text.to_owned() }))
}

/// Whether a text can be an https URL. Roblox wants each network's own form and doesn't publish it:
/// that is left to Roblox.
fn is_https_url(text: &str) -> bool {
    let host = text.strip_prefix("https://").map(|rest| rest.split(['/', '?', '#']).next().unwrap_or(""));
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '"' && c != '\\';
    host.is_some_and(|host| host.contains('.') && !host.starts_with('.') && !host.ends_with('.'))
        && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_https_with_a_host() {
        for good in ["https://twitter.com/us", "https://discord.gg", "https://a.b?x#y"] {
            assert!(is_https_url(good), "{good}");
        }
        for bad in
            ["", "http://twitter.com/us", "twitter.com/us", "https://", "https://us", "https:///x.y", "https://a.b/ c"]
        {
            assert!(!is_https_url(bad), "{bad}");
        }
    }

    #[test]
    fn only_digits_after_assets_are_an_id() {
        assert_eq!(asset_id_digits("assets/123"), Some("123"));
        for address in ["assets/", "assets/x.png", "assets/12/3", "asset/1"] {
            assert_eq!(asset_id_digits(address), None, "{address}");
        }
    }
}
