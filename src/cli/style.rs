//! The colours of help and of wrong usage, and what stands below the help and in manual pages.

use clap::builder::styling::{AnsiColor, Styles};

pub(super) const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// The exit codes with what they mean.
pub(super) const EXIT_CODES: [(&str, &str); 8] = [
    ("0", "everything is up to date, or the command did what you asked"),
    ("1", "something failed or is left to do, or `sync --locked` found changes"),
    ("2", "`plan --detailed-exitcode` found changes"),
    ("3", "the manifest, lockfile or state has an error; nothing was changed"),
    ("4", "there is no API key, or Roblox refused it"),
    ("5", "another Macadam is running in this project"),
    ("64", "the command line is wrong"),
    ("130, 143", "interrupted before it was done"),
];

/// Where the API key may be.
pub(super) const KEY_SOURCES: &str = "\
Macadam takes the API key from --api-key-file, the systemd credential
`roblox-api-key`, the variable ROBLOX_API_KEY or a .env file beside the
manifest, in this order. An OAuth 2.0 access token goes into ROBLOX_OAUTH_TOKEN.";
