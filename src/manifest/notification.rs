//! `[notify]`: whom Macadam tells of failures.

use super::diagnostic::{ErrorSink, shown};
use super::read::TableReader;

/// Variables that hold credentials: what they hold must never be taken for a URL, which errors may
/// show.
const KEY_VARIABLES: [&str; 2] = ["ROBLOX_API_KEY", "ROBLOX_OAUTH_TOKEN"];

/// Reads `[notify]`: the name of the variable that holds the webhook's URL.
pub(super) fn read_notify(mut fields: TableReader<'_>, report: &mut ErrorSink) -> Option<String> {
    let webhook_env = fields.take("webhook_env");
    fields.finish(report);
    let field = webhook_env?;
    let name = field.text(report)?;
    if name.contains('/') {
        let fault = field.fault("`webhook_env` is the name of an environment variable, not a URL");
        report.add(fault.hint(
            "a webhook's URL is a secret: put it into the environment and its variable's name here; renew one that was committed",
        ));
        return None;
    }
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !first || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') || name.len() > 200 {
        let fault = field.fault(format!("{} can't be the name of an environment variable", shown(name)));
        report.add(fault.hint("use letters, digits and `_`, such as \"MACADAM_WEBHOOK\""));
        return None;
    }
    if KEY_VARIABLES.contains(&name) {
        let fault = field.fault(format!("{} holds a credential, not a webhook's URL", shown(name)));
        report.add(fault.hint("use a variable of its own, such as \"MACADAM_WEBHOOK\""));
        return None;
    }
    Some(name.to_owned())
}
