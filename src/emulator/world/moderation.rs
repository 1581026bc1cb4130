//! Scripted moderation, and the text filter. Pure.
//!
//! A verdict is a timeline: for example `Reviewing` now, `Approved` later, taken down after that.
//! An operation's response holds a snapshot; GET returns the current verdict.

use serde::{Deserialize, Serialize};

use crate::emulator::refusal::ApiRefusal;

/// The moderation states (V1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModerationVerdict {
    /// Not decided yet.
    Reviewing,
    /// Visible to everybody.
    Approved,
    /// Visible to nobody.
    Rejected,
}

impl ModerationVerdict {
    /// Returns the plain name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            ModerationVerdict::Reviewing => "Reviewing",
            ModerationVerdict::Approved => "Approved",
            ModerationVerdict::Rejected => "Rejected",
        }
    }
}

/// One step of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerdictStep {
    /// Milliseconds: in a rule counted from the version's creation, in a version since the Unix
    /// epoch.
    #[serde(default)]
    pub after_ms: u64,
    /// The verdict from then on.
    pub verdict: ModerationVerdict,
}

/// The verdicts on one version over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModerationTimeline(Vec<VerdictStep>);

impl ModerationTimeline {
    /// Makes a timeline that starts at a time. Empty steps mean approval.
    pub(in crate::emulator) fn starting(at: u64, steps: &[VerdictStep]) -> Self {
        let shift = |step: &VerdictStep| VerdictStep { after_ms: at.saturating_add(step.after_ms), ..*step };
        ModerationTimeline(steps.iter().map(shift).collect())
    }

    pub(in crate::emulator) fn decide(&mut self, at: u64, verdict: ModerationVerdict) {
        self.0.retain(|step| step.after_ms <= at);
        self.0.push(VerdictStep { after_ms: at, verdict });
    }

    /// Returns the verdict at a time. Before the first step of a non-empty timeline, the version is
    /// under review.
    pub(in crate::emulator) fn at(&self, now: u64) -> ModerationVerdict {
        let due = self.0.iter().rev().find(|step| step.after_ms <= now);
        match (due, self.0.is_empty()) {
            (Some(step), _) => step.verdict,
            (None, true) => ModerationVerdict::Approved,
            (None, false) => ModerationVerdict::Reviewing,
        }
    }

    /// Returns when it becomes rejected, if it does.
    pub(in crate::emulator) fn rejected_at(&self) -> Option<u64> {
        self.0.iter().find(|step| step.verdict == ModerationVerdict::Rejected).map(|step| step.after_ms)
    }
}

/// A scripted verdict. All given conditions must hold; the first rule that fits decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModerationRule {
    /// The SHA-256 of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_hash: Option<String>,
    /// A part of the display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The asset. The rule also decides on its current version at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset_id: Option<u64>,
    /// The timeline; empty means approval at once.
    #[serde(default)]
    pub verdicts: Vec<VerdictStep>,
    /// Whether the operation fails as `ContentModerated`, without making anything.
    #[serde(default)]
    pub fail_operation: bool,
}

impl ModerationRule {
    pub(in crate::emulator) fn fits(&self, hash: &str, name: &str, asset: Option<u64>) -> bool {
        self.content_hash.as_deref().is_none_or(|wanted| wanted == hash)
            && self.name.as_deref().is_none_or(|part| name.contains(part))
            && self.asset_id.is_none_or(|id| asset == Some(id))
    }
}

/// The text that a filter rule examines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextField {
    /// The display name.
    Name,
    /// The description.
    Description,
    /// Both.
    #[default]
    Both,
}

/// The effect of the filter on a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextAction {
    /// 400 `AssetName is moderated.` or `AssetDescription is moderated.`
    Refuse,
    /// Stores `#` in its place, silently.
    Censor,
}

/// A rule of the text filter. All rules that fit apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextRule {
    /// The text to look for, ignoring case. The empty string fits every non-empty text.
    pub contains: String,
    /// The text to examine.
    #[serde(default)]
    pub field: TextField,
    /// The effect.
    pub action: TextAction,
}

/// Passes a text through the filter.
pub(in crate::emulator) fn filter(rules: &[TextRule], field: TextField, text: &str) -> Result<String, ApiRefusal> {
    let mut kept = text.to_owned();
    for rule in rules.iter().filter(|rule| rule.field == TextField::Both || rule.field == field) {
        let Some(censored) = censor(&kept, &rule.contains) else { continue };
        if rule.action == TextAction::Refuse {
            let what = if field == TextField::Name { "AssetName" } else { "AssetDescription" };
            return Err(ApiRefusal::invalid(format!("{what} is moderated.")));
        }
        kept = censored;
    }
    Ok(kept)
}

/// Replaces each character of the part with `#`. `None` if the text doesn't contain the part.
fn censor(text: &str, part: &str) -> Option<String> {
    let hashes = |text: &str| "#".repeat(text.chars().count());
    if part.is_empty() {
        return (!text.is_empty()).then(|| hashes(text));
    }
    // Lower-casing ASCII alone keeps the byte positions.
    let (lower, part) = (text.to_ascii_lowercase(), part.to_ascii_lowercase());
    let mut out = String::new();
    let mut at = 0;
    for (found, matched) in lower.match_indices(&part) {
        out.push_str(text.get(at..found)?);
        out.push_str(&hashes(matched));
        at = found + matched.len();
    }
    out.push_str(text.get(at..)?);
    (out != text).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(after_ms: u64, verdict: ModerationVerdict) -> VerdictStep {
        VerdictStep { after_ms, verdict }
    }

    #[test]
    fn a_timeline_gives_the_verdict_at_each_moment() {
        let mut moderation = ModerationTimeline::starting(
            100,
            &[step(0, ModerationVerdict::Reviewing), step(50, ModerationVerdict::Approved)],
        );
        assert_eq!(moderation.at(100), ModerationVerdict::Reviewing);
        assert_eq!(moderation.at(150), ModerationVerdict::Approved);
        assert_eq!(moderation.rejected_at(), None);
        moderation.decide(200, ModerationVerdict::Rejected);
        assert_eq!(
            (moderation.at(199), moderation.at(200)),
            (ModerationVerdict::Approved, ModerationVerdict::Rejected)
        );
        assert_eq!(moderation.rejected_at(), Some(200));
        assert_eq!(ModerationTimeline::starting(0, &[]).at(0), ModerationVerdict::Approved);
        assert_eq!(
            ModerationTimeline::starting(0, &[step(9, ModerationVerdict::Approved)]).at(8),
            ModerationVerdict::Reviewing
        );
    }

    #[test]
    fn a_rule_fits_when_all_its_conditions_hold() {
        let rule =
            ModerationRule { content_hash: Some("ab".into()), name: Some("wor".into()), ..ModerationRule::default() };
        assert!(rule.fits("ab", "Sword", None));
        assert!(!rule.fits("ac", "Sword", None) && !rule.fits("ab", "Shield", None));
        assert!(!ModerationRule { asset_id: Some(3), ..rule }.fits("ab", "Sword", Some(4)));
    }

    #[test]
    fn the_filter_refuses_or_stores_hashes() {
        #[track_caller]
        fn check(field: TextField, text: &str, expected: Result<&str, &str>) {
            let rule = |contains: &str, field, action| TextRule { contains: contains.into(), field, action };
            let rules = [
                rule("tt-dev", TextField::Both, TextAction::Censor),
                rule("bad", TextField::Name, TextAction::Refuse),
                rule("worse", TextField::Description, TextAction::Refuse),
            ];
            let got = filter(&rules, field, text);
            let expected = expected.map(str::to_owned).map_err(ApiRefusal::invalid);
            assert_eq!(got, expected, "{text}");
        }
        check(TextField::Name, "a TT-dev é", Ok("a ###### é"));
        check(TextField::Name, "Bad", Err("AssetName is moderated."));
        check(TextField::Description, "Bad", Ok("Bad"));
        check(TextField::Description, "worse", Err("AssetDescription is moderated."));
        check(TextField::Description, "", Ok(""));
    }

    #[test]
    fn an_empty_rule_censors_every_text_that_is_not_empty() {
        let rule = TextRule { contains: String::new(), field: TextField::Both, action: TextAction::Censor };
        assert_eq!(filter(std::slice::from_ref(&rule), TextField::Name, "né").unwrap(), "##");
        assert_eq!(filter(&[rule], TextField::Name, "").unwrap(), "");
    }
}
