//! How long operations take. Pure.

use super::content::{Content, CreatableType, UploadFormat};

/// How long an operation takes from its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatencyModel {
    /// As observed, by type and format, within a fifth either way.
    #[default]
    Observed,
    /// Always this many milliseconds.
    Fixed(u64),
    /// Done at the poll after this many polls that found it running.
    Polls(u32),
}

impl std::str::FromStr for LatencyModel {
    type Err = LatencyError;

    /// Parses `observed`, `250`, `250ms` or `polls:3`.
    fn from_str(text: &str) -> Result<Self, LatencyError> {
        let wrong = || LatencyError { given: text.to_owned() };
        if text == "observed" {
            return Ok(LatencyModel::Observed);
        }
        if let Some(polls) = text.strip_prefix("polls:") {
            return polls.parse().map(LatencyModel::Polls).map_err(|_| wrong());
        }
        text.strip_suffix("ms").unwrap_or(text).parse().map(LatencyModel::Fixed).map_err(|_| wrong())
    }
}

/// A text that is not a latency.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` isn't a latency: write `observed`, milliseconds, or `polls:N`")]
pub struct LatencyError {
    given: String,
}

/// Returns the milliseconds that operations were seen to take. Public clients' live notes say 1.3
/// to 10 s for .rbxm (typetorch/cli), about 3 s for small .fbx, and about 1 s for images; the rest
/// are guesses near these. An operation without content is a metadata update.
pub(super) fn observed(asset_type: CreatableType, content: Option<&Content>, spread: u64) -> u64 {
    let usual = match (content.map(|content| content.format), asset_type) {
        (None, _) => 500,
        (_, CreatableType::Image | CreatableType::Decal) => 1000,
        (_, CreatableType::Audio) => 2500,
        (_, CreatableType::Video) => 8000,
        (Some(Some(UploadFormat::Fbx | UploadFormat::Glb | UploadFormat::Gltf)), _) => 3000,
        _ => 1500,
    };
    usual * (80 + spread % 41) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_read_from_text() {
        for (text, expected) in [
            ("observed", Some(LatencyModel::Observed)),
            ("0", Some(LatencyModel::Fixed(0))),
            ("250ms", Some(LatencyModel::Fixed(250))),
            ("polls:3", Some(LatencyModel::Polls(3))),
            ("", None),
            ("-1", None),
            ("polls:", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }

    #[test]
    fn observed_latencies_stay_within_a_fifth() {
        for spread in 0..100 {
            assert!((400..=600).contains(&observed(CreatableType::Model, None, spread)));
        }
    }
}
