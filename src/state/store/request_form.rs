//! The JSON of requests and their answers. Another version of the program may have written them:
//! anything unknown is an error, never a guess.

use serde::{Deserialize, Serialize};

use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::request::{ProblemKind, Request, RequestDone, RequestProblem, Resolution};

/// The arguments of every command; each uses its own.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestArguments {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asset_id: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    content_matches: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    no_duplicate: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

/// The answer: `problem` alone, or the other fields.
#[derive(Debug, Default, Serialize, Deserialize)]
struct AnswerText {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asset_id: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lockfile_written: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    has_command: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemText>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ProblemText {
    kind: KindText,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindText {
    Refused,
    Unusable,
    Credential,
    Interrupted,
}

/// Returns the arguments of a request as JSON; its command is a column of its own.
pub(super) fn arguments(request: &Request) -> serde_json::Result<String> {
    let one =
        |address: &Address| RequestArguments { address: Some(address.to_string()), ..RequestArguments::default() };
    let several = |addresses: &[Address]| RequestArguments {
        addresses: addresses.iter().map(ToString::to_string).collect(),
        ..RequestArguments::default()
    };
    serde_json::to_string(&match request {
        Request::Resolve { address, found } => match found {
            Resolution::Asset(asset_id) => RequestArguments { asset_id: Some(asset_id.get()), ..one(address) },
            Resolution::Nothing => one(address),
            Resolution::NoDuplicate => RequestArguments { no_duplicate: true, ..one(address) },
        },
        Request::Retry { addresses }
        | Request::Forget { addresses }
        | Request::Recreate { addresses }
        | Request::Unpin { addresses } => several(addresses),
        Request::Pin { addresses, revision } => RequestArguments { revision: Some(*revision), ..several(addresses) },
        Request::Import { address, asset_id, content_matches } => {
            RequestArguments { asset_id: Some(asset_id.get()), content_matches: *content_matches, ..one(address) }
        }
        Request::Archive { address, together } => {
            RequestArguments { address: Some(address.to_string()), ..several(together) }
        }
        Request::Restore { address } => one(address),
    })
}

/// Parses the result of [`arguments`].
///
/// # Errors
/// When this program does not understand it; the error says why.
pub(super) fn request(command: &str, arguments: &str) -> Result<Request, String> {
    let RequestArguments { address, addresses, asset_id, content_matches, no_duplicate, revision } =
        serde_json::from_str(arguments).map_err(|error| format!("the arguments of `{command}`: {error}"))?;
    let parse = |text: &str| Address::new(text).map_err(|error| format!("the address of `{command}`: {error}"));
    let address = || parse(address.as_deref().ok_or_else(|| format!("`{command}` has no address"))?);
    let any = || addresses.iter().map(|text| parse(text)).collect::<Result<Vec<Address>, String>>();
    let several =
        || any().and_then(|all| if all.is_empty() { Err(format!("`{command}` has no address")) } else { Ok(all) });
    let asset_id = asset_id.map(AssetId::new).transpose().map_err(|error| format!("`{command}`: {error}"))?;
    Ok(match command {
        "resolve" => {
            let found = match asset_id {
                Some(asset_id) => Resolution::Asset(asset_id),
                None if no_duplicate => Resolution::NoDuplicate,
                None => Resolution::Nothing,
            };
            Request::Resolve { address: address()?, found }
        }
        // None where the key is to be tried.
        "retry" => Request::Retry { addresses: any()? },
        "import" => {
            let asset_id = asset_id.ok_or_else(|| format!("`{command}` has no asset ID"))?;
            Request::Import { address: address()?, asset_id, content_matches }
        }
        "forget" => Request::Forget { addresses: several()? },
        "recreate" => Request::Recreate { addresses: several()? },
        "pin" => {
            let revision = revision.ok_or_else(|| format!("`{command}` has no revision"))?;
            Request::Pin { addresses: several()?, revision }
        }
        "unpin" => Request::Unpin { addresses: several()? },
        "archive" => Request::Archive { address: address()?, together: any()? },
        "restore" => Request::Restore { address: address()? },
        _ => return Err(format!("`{command}` isn't a request")),
    })
}

/// Returns the result of a request as JSON.
pub(super) fn answer(result: &Result<RequestDone, RequestProblem>) -> serde_json::Result<String> {
    serde_json::to_string(&match result {
        Ok(RequestDone { asset_id, revision, lockfile_written, has_command, notes }) => AnswerText {
            asset_id: asset_id.map(AssetId::get),
            revision: *revision,
            lockfile_written: *lockfile_written,
            has_command: *has_command,
            notes: notes.clone(),
            problem: None,
        },
        Err(RequestProblem { kind, message, hint, unknown }) => {
            let kind = match kind {
                ProblemKind::Refused => KindText::Refused,
                ProblemKind::Unusable => KindText::Unusable,
                ProblemKind::Credential => KindText::Credential,
                ProblemKind::Interrupted => KindText::Interrupted,
            };
            let unknown = unknown.as_ref().map(ToString::to_string);
            let problem = ProblemText { kind, message: message.clone(), hint: hint.clone(), unknown };
            AnswerText { problem: Some(problem), ..AnswerText::default() }
        }
    })
}

/// Parses the result of [`answer`].
pub(super) fn parse_answer(text: &str) -> Result<Result<RequestDone, RequestProblem>, String> {
    let AnswerText { asset_id, revision, lockfile_written, has_command, notes, problem } =
        serde_json::from_str(text).map_err(|error| format!("an answer: {error}"))?;
    if let Some(ProblemText { kind, message, hint, unknown }) = problem {
        let kind = match kind {
            KindText::Refused => ProblemKind::Refused,
            KindText::Unusable => ProblemKind::Unusable,
            KindText::Credential => ProblemKind::Credential,
            KindText::Interrupted => ProblemKind::Interrupted,
        };
        let unknown =
            unknown.as_deref().map(Address::new).transpose().map_err(|error| format!("an answer: {error}"))?;
        return Ok(Err(RequestProblem { kind, message, hint, unknown }));
    }
    let asset_id = asset_id.map(AssetId::new).transpose().map_err(|error| format!("an answer: {error}"))?;
    Ok(Ok(RequestDone { asset_id, revision, lockfile_written, has_command, notes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_read_back() {
        let address = || Address::new("ui/\"é\".png").unwrap();
        let asset_id = AssetId::new(7).unwrap();
        let check = |made: Request, text: &str| {
            assert_eq!(arguments(&made).unwrap(), text);
            assert_eq!(request(made.command(), text), Ok(made));
        };
        let one = r#"{"address":"ui/\"é\".png"}"#;
        check(Request::Resolve { address: address(), found: Resolution::Nothing }, one);
        check(
            Request::Resolve { address: address(), found: Resolution::NoDuplicate },
            r#"{"address":"ui/\"é\".png","no_duplicate":true}"#,
        );
        check(
            Request::Resolve { address: address(), found: Resolution::Asset(asset_id) },
            r#"{"address":"ui/\"é\".png","asset_id":7}"#,
        );
        check(
            Request::Retry { addresses: vec![address(), address()] },
            r#"{"addresses":["ui/\"é\".png","ui/\"é\".png"]}"#,
        );
        check(
            Request::Import { address: address(), asset_id, content_matches: true },
            r#"{"address":"ui/\"é\".png","asset_id":7,"content_matches":true}"#,
        );
        check(Request::Forget { addresses: vec![address()] }, r#"{"addresses":["ui/\"é\".png"]}"#);
        check(Request::Recreate { addresses: vec![address()] }, r#"{"addresses":["ui/\"é\".png"]}"#);
        check(
            Request::Pin { addresses: vec![address()], revision: 3 },
            r#"{"addresses":["ui/\"é\".png"],"revision":3}"#,
        );
        check(Request::Unpin { addresses: vec![address()] }, r#"{"addresses":["ui/\"é\".png"]}"#);
        check(Request::Archive { address: address(), together: Vec::new() }, one);
        check(
            Request::Archive { address: address(), together: vec![address()] },
            r#"{"address":"ui/\"é\".png","addresses":["ui/\"é\".png"]}"#,
        );
        check(Request::Restore { address: address() }, one);

        let problem = |kind| Err(RequestProblem::new(kind, "m".to_owned(), Some("h".to_owned())));
        let unknown = RequestProblem::new(ProblemKind::Refused, "m".to_owned(), None);
        for result in [
            Ok(RequestDone::default()),
            Ok(RequestDone {
                asset_id: Some(asset_id),
                revision: Some(2),
                lockfile_written: true,
                has_command: true,
                notes: vec!["n".to_owned()],
            }),
            problem(ProblemKind::Refused),
            problem(ProblemKind::Unusable),
            problem(ProblemKind::Credential),
            problem(ProblemKind::Interrupted),
            Err(RequestProblem { unknown: Some(address()), ..unknown }),
        ] {
            assert_eq!(parse_answer(&answer(&result).unwrap()), Ok(result));
        }
    }

    #[test]
    fn an_unknown_request_or_answer_is_refused() {
        let check = |command: &str, arguments: &str, part: &str| {
            let error = request(command, arguments).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        check("dance", "{}", "`dance` isn't a request");
        check("forget", "{}", "no address");
        check("forget", r#"{"addresses":[""]}"#, "address of `forget`");
        check("forget", r#"{"addresses":["a"],"softly":true}"#, "softly");
        check("import", r#"{"address":"a"}"#, "no asset ID");
        check("pin", r#"{"addresses":["a"]}"#, "no revision");
        check("resolve", r#"{"address":"a","asset_id":0}"#, "asset");
        assert!(parse_answer("7").is_err());
    }
}
