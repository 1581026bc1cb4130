//! Which commits of a file the branch's upstream lacks, as far as this clone has heard of it. Read
//! next: [`super::ask`], which asks git.

use std::path::Path;

use super::ask::{CheckoutFile, why};

/// A commit that the upstream lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnpushedCommit {
    /// Its short name.
    pub commit: String,
    /// The short name of the upstream, such as `origin/main`.
    pub upstream: String,
}

/// Returns the newest commit here that changes `file` and that the upstream of the checked-out branch
/// lacks. `None` without a repository, a branch or an upstream, or where the upstream was never fetched.
///
/// # Errors
/// Returns why it is unknown: lower case, no full stop.
pub(crate) fn unpushed(file: &Path) -> Result<Option<UnpushedCommit>, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(None) };
    let branch = place.ask(&["symbolic-ref", "--quiet", "HEAD"], b"")?;
    // No branch is checked out.
    if !branch.status.success() {
        return Ok(None);
    }
    let format = "--format=%(upstream) %(upstream:short)";
    let upstream = place.ask(&["for-each-ref", format, branch.said()?.trim_end()], b"")?;
    let Some((name, short)) = upstream.said()?.trim_end().split_once(' ').filter(|(name, _)| !name.is_empty()) else {
        return Ok(None);
    };
    let heard_of = place.ask(&["cat-file", "--batch-check"], format!("{name}\n").as_bytes())?;
    if !heard_of.said()?.contains(" commit ") {
        return Ok(None);
    }
    let range = format!("{name}..HEAD");
    let options = ["--literal-pathspecs", "rev-list", "--max-count=1", "--abbrev-commit", &range, "--"];
    let newest = place.ask(&[&options[..], &[&place.inside]].concat(), b"")?;
    if !newest.status.success() {
        return Err(why(&newest));
    }
    let commit = newest.said()?.trim_end().to_owned();
    Ok((!commit.is_empty()).then(|| UnpushedCommit { commit, upstream: short.to_owned() }))
}
