//! The latest observations of the remote's assets, and how far they can be trusted.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Result, Row, named_params};

use super::rows;
use crate::model::asset::Moderation;
use crate::model::ids::AssetId;
use crate::model::metadata::{SocialLink, SocialNetwork};
use crate::model::observation::NotFound;
use crate::model::recorded::Observation;
use crate::model::remote::{Extras, RemoteAsset};

/// `[<asset ID>, <alternative text or null>]`.
type PreviewText = (u64, Option<String>);
/// `{"<network>": [<title or null>, "<uri>"]}`.
type LinkTexts = BTreeMap<String, (Option<String>, String)>;

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

pub(super) fn write(connection: &Connection, asset: &RemoteAsset, now: &str) -> Result<()> {
    let RemoteAsset {
        asset_id,
        revision,
        revision_created_at,
        asset_type,
        creator,
        display_name,
        description,
        moderation,
        archived,
        previews,
        extras,
    } = asset;
    let previews = previews.as_ref().map(|previews| {
        let texts: Vec<PreviewText> = previews.iter().map(|(id, alt)| (id.get(), alt.clone())).collect();
        json(&texts)
    });
    let links = extras.as_deref().map(|Extras { social_links, .. }| {
        let texts: LinkTexts = social_links
            .iter()
            .map(|(network, SocialLink { title, uri })| (network.key().to_owned(), (title.clone(), uri.clone())))
            .collect();
        json(&texts)
    });
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO observations
                (asset_id, at, revision, asset_type, creator, display_name, description, moderation, archived, icon,
                 previews, social_links, revision_created_at)
             VALUES (:asset_id, :at, :revision, :asset_type, :creator, :display_name, :description, :moderation,
                 :archived, :icon, :previews, :social_links, :revision_created_at)",
        )?
        .execute(named_params! {
            ":asset_id": rows::number(asset_id.get()),
            ":at": now,
            ":revision": revision.map(|revision| rows::number(revision.get())),
            ":revision_created_at": revision_created_at.map(|time| time.to_string()),
            ":asset_type": asset_type.map(|kind| kind.name()),
            ":creator": creator.map(|creator| creator.to_string()),
            ":display_name": display_name,
            ":description": description,
            ":moderation": moderation.map(|moderation| moderation.name()),
            ":archived": archived,
            ":icon": extras.as_ref().and_then(|extras| extras.icon).map(|icon| rows::number(icon.get())),
            ":previews": previews.transpose()?,
            ":social_links": links.transpose()?,
        })?;
    let asset_id = rows::number(asset_id.get());
    connection.prepare_cached("DELETE FROM not_found WHERE asset_id = ?1")?.execute([asset_id])?;
    connection.prepare_cached("DELETE FROM contradicted WHERE asset_id = ?1")?.execute([asset_id])?;
    clear_outdated(connection, asset_id)
}

/// Clears the outdated mark of an asset after an answer of the remote.
fn clear_outdated(connection: &Connection, asset_id: i64) -> Result<()> {
    connection.prepare_cached("DELETE FROM outdated WHERE asset_id = ?1")?.execute([asset_id])?;
    Ok(())
}

pub(super) fn not_found(connection: &Connection, asset_id: AssetId, now: Timestamp) -> Result<()> {
    let asset_id = rows::number(asset_id.get());
    let known = connection
        .prepare_cached("SELECT answers, at FROM not_found WHERE asset_id = ?1")?
        .query_row([asset_id], |row| Ok(NotFound { answers: row.get(0)?, at: rows::time(row, 1)? }))
        .optional()?;
    let NotFound { answers, at } = NotFound::again(known, now);
    connection
        .prepare_cached("INSERT OR REPLACE INTO not_found (asset_id, answers, at) VALUES (?1, ?2, ?3)")?
        .execute((asset_id, answers, at.to_string()))?;
    clear_outdated(connection, asset_id)
}

pub(super) fn wrote(connection: &Connection, asset_id: AssetId, restores: bool, now: &str) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO own_writes (asset_id, at, restored_at) VALUES (?1, ?2, iif(?3, ?2, NULL))
             ON CONFLICT (asset_id) DO UPDATE SET at = excluded.at, restored_at = coalesce(excluded.restored_at, restored_at)",
        )?
        .execute((rows::number(asset_id.get()), now, restores))?;
    Ok(())
}

pub(super) fn outdate(connection: &Connection, asset_id: AssetId) -> Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO outdated (asset_id) VALUES (?1)")?
        .execute([rows::number(asset_id.get())])?;
    Ok(())
}

pub(super) fn set_contradicted(connection: &Connection, asset_id: AssetId, contradicted: bool) -> Result<()> {
    let sql = match contradicted {
        true => "INSERT OR IGNORE INTO contradicted (asset_id) VALUES (?1)",
        false => "DELETE FROM contradicted WHERE asset_id = ?1",
    };
    connection.prepare_cached(sql)?.execute([rows::number(asset_id.get())])?;
    Ok(())
}

pub(super) fn load_not_found(connection: &Connection) -> Result<BTreeMap<AssetId, NotFound>> {
    let mut all = connection.prepare_cached("SELECT asset_id, answers, at FROM not_found ORDER BY asset_id")?;
    let found =
        |row: &Row<'_>| Ok((rows::asset_id(row, 0)?, NotFound { answers: row.get(1)?, at: rows::time(row, 2)? }));
    all.query_map([], found)?.collect()
}

pub(super) fn load_written(connection: &Connection) -> Result<BTreeMap<AssetId, Timestamp>> {
    let mut all = connection.prepare_cached("SELECT asset_id, at FROM own_writes ORDER BY asset_id")?;
    all.query_map([], |row| Ok((rows::asset_id(row, 0)?, rows::time(row, 1)?)))?.collect()
}

pub(super) fn load_restored(connection: &Connection) -> Result<BTreeMap<AssetId, Timestamp>> {
    let mut all = connection.prepare_cached(
        "SELECT asset_id, restored_at FROM own_writes WHERE restored_at IS NOT NULL ORDER BY asset_id",
    )?;
    all.query_map([], |row| Ok((rows::asset_id(row, 0)?, rows::time(row, 1)?)))?.collect()
}

pub(super) fn load_outdated(connection: &Connection) -> Result<BTreeSet<AssetId>> {
    let mut all = connection.prepare_cached("SELECT asset_id FROM outdated ORDER BY asset_id")?;
    all.query_map([], |row| rows::asset_id(row, 0))?.collect()
}

pub(super) fn load_contradicted(connection: &Connection) -> Result<BTreeSet<AssetId>> {
    let mut all = connection.prepare_cached("SELECT asset_id FROM contradicted ORDER BY asset_id")?;
    all.query_map([], |row| rows::asset_id(row, 0))?.collect()
}

/// What an observation is read from, in order.
const COLUMNS: &str = "asset_id, at, revision, asset_type, creator, display_name, description, moderation, archived, \
     icon, previews, social_links, revision_created_at";

pub(super) fn load(connection: &Connection) -> Result<BTreeMap<AssetId, Observation>> {
    let mut all = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM observations ORDER BY asset_id"))?;
    all.query_map([], |row| Ok((rows::asset_id(row, 0)?, observation(row)?)))?.collect()
}

fn observation(row: &Row<'_>) -> Result<Observation> {
    Ok(Observation { asset: asset(row)?, at: rows::time(row, 1)? })
}

/// What is known of some assets beside their revisions.
#[derive(Default)]
pub(super) struct AboutAssets {
    /// Roblox's last descriptions.
    pub seen: BTreeMap<AssetId, Observation>,
    /// When Macadam last changed them.
    pub written: BTreeMap<AssetId, Timestamp>,
    /// When Macadam last restored them.
    pub restored: BTreeMap<AssetId, Timestamp>,
}

/// Loads what is known of these assets.
pub(super) fn about(connection: &Connection, assets: &BTreeSet<AssetId>) -> Result<AboutAssets> {
    let mut about = AboutAssets::default();
    let mut seen = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM observations WHERE asset_id = ?1"))?;
    let mut written = connection.prepare_cached("SELECT at, restored_at FROM own_writes WHERE asset_id = ?1")?;
    for asset_id in assets {
        let number = rows::number(asset_id.get());
        about.seen.extend(seen.query_row([number], observation).optional()?.map(|seen| (*asset_id, seen)));
        let times = |row: &Row<'_>| Ok((rows::time(row, 0)?, rows::parsed_or_null(row, 1)?));
        let Some((at, restored)) = written.query_row([number], times).optional()? else { continue };
        about.written.insert(*asset_id, at);
        about.restored.extend(restored.map(|restored| (*asset_id, restored)));
    }
    Ok(about)
}

fn asset(row: &Row<'_>) -> Result<RemoteAsset> {
    let moderation = match rows::text_or_null(row, 7)? {
        None => None,
        Some(_) => Some(rows::named(row, 7, "moderation state", Moderation::from_name)?),
    };
    Ok(RemoteAsset {
        asset_id: rows::asset_id(row, 0)?,
        revision: rows::revision(row, 2)?,
        revision_created_at: rows::parsed_or_null(row, 12)?,
        asset_type: rows::parsed_or_null(row, 3)?,
        creator: rows::parsed_or_null(row, 4)?,
        display_name: row.get(5)?,
        description: row.get(6)?,
        moderation,
        archived: row.get(8)?,
        previews: rows::text_or_null(row, 10)?.map(previews).transpose()?,
        extras: rows::text_or_null(row, 11)?.map(|links| extras(row, links).map(Box::new)).transpose()?,
    })
}

fn extras(row: &Row<'_>, links: &str) -> Result<Extras> {
    Ok(Extras { icon: rows::asset_id_or_null(row, 9)?, social_links: social_links(links)? })
}

fn previews(text: &str) -> Result<Vec<(AssetId, Option<String>)>> {
    let texts: Vec<PreviewText> = serde_json::from_str(text).map_err(|error| rows::wrong(10, error))?;
    let read = |(id, alt)| Ok((AssetId::new(id).map_err(|error| rows::wrong(10, error))?, alt));
    texts.into_iter().map(read).collect()
}

fn social_links(text: &str) -> Result<BTreeMap<SocialNetwork, SocialLink>> {
    if text == "{}" {
        return Ok(BTreeMap::new());
    }
    let texts: LinkTexts = serde_json::from_str(text).map_err(|error| rows::wrong(11, error))?;
    let read = |(key, (title, uri)): (String, (Option<String>, String))| {
        let network = SocialNetwork::ALL.into_iter().find(|network| network.key() == key);
        let network = network.ok_or_else(|| rows::wrong(11, format_args!("`{key}` isn't a social network")))?;
        Ok((network, SocialLink { title, uri }))
    };
    texts.into_iter().map(read).collect()
}
