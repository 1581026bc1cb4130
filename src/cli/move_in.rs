//! `macadam import --from FILE`: another tool's project becomes one of Macadam's.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::args::{Global, ImportArgs};
use super::credential;
use super::errors::problem;
use super::exit::{CommandFailure, Exit};
use super::interruption::Interruption;
use super::invocation;
use super::output::{Printer, TextStyle, fitted, paint, plural};
use super::plan::preview;
use super::schema_file::{self, SCHEMA};
use super::target::{self, ProjectTarget};
use crate::engine::commands::moving::{self, MoveError, PreparedImport, ToolProject};
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::report::progress::silent;
use crate::engine::workspace::git::ask;
use crate::engine::workspace::project::{DEFAULT_MANIFEST, Project};
use crate::engine::workspace::snapshot::PlanPreview;
use crate::model::ids::Creator;
use crate::model::proposed::quoted;
use crate::moving::{Source, SourceOptions, Tool};
use crate::plan::{Action, PlanOptions};

/// The number of entries in a list; `--json` and `-v` have all.
const LISTED: usize = 8;

impl From<MoveError> for CommandFailure {
    fn from(error: MoveError) -> Self {
        let hint = error.hint();
        match error {
            MoveError::Gather(error) => error.into(),
            MoveError::Syntax(ref mistake) => {
                Self { problems: vec![problem(mistake)], ..Self::of(Exit::Unusable, &error, hint) }
            }
            MoveError::Credential { .. } => Self::of(Exit::Credential, &error, hint),
            MoveError::NoCreator { .. } | MoveError::OtherCreator { .. } | MoveError::AllOfAnother { .. } => {
                Self::of(Exit::Usage, &error, hint)
            }
            MoveError::Exists { .. } | MoveError::WouldUpload { .. } => Self::of(Exit::Unreconciled, &error, hint),
            error => Self::of(Exit::Unusable, &error, hint),
        }
    }
}

/// Moves in.
pub(super) async fn run(
    output: Printer,
    global: &Global,
    from: &Path,
    args: &ImportArgs,
) -> Result<Exit, CommandFailure> {
    let (tool, main) = tool(from)?;
    let target = find_target(global, &main)?;
    moving::refuse_existing(&target.project)?;
    let options = SourceOptions { environment: args.environment.clone() };
    if args.environment.is_some() && tool != Tool::Mantle {
        let message = format!("{} has no environments", tool.name());
        return Err(CommandFailure::new(Exit::Usage, message).hint("leave --environment out"));
    }
    let credential = credential::find_any(global.api_key_file.as_deref(), &target.project)?;
    let source = moving::read(tool, &main, &options)?;
    let creator = match moving::creator(&source, args.creator) {
        Err(MoveError::NoCreator { .. }) if asks(output) => ask_creator(&source)?,
        creator => creator?,
    };
    tokio::task::block_in_place(|| moving::check_paths(&target.project.root, &source))?;
    let (listener, missing_record) = (silent(), source.missing_record);
    let mut moved = tokio::task::block_in_place(|| ToolProject::new(&target.project, &target.remote, source, creator));
    let checked = credential.is_some();
    if let Some(credential) = credential {
        let stop = Shutdown::default();
        Interruption::listen(&stop)?;
        let (client, _) = target::connect(global, &target, credential).await?;
        moved.verify(&client, &stop, &listener).await?;
        if stop.is_triggered() {
            return Err(CommandFailure::new(Exit::Unreconciled, "interrupted before anything was written"));
        }
    }
    let ready = tokio::task::block_in_place(|| {
        let ready = moved.finish(&listener)?;
        schema_file::write(&target.project.root)?;
        ready.write()?;
        Ok::<_, CommandFailure>(ready)
    })?;
    let preview = preview(output, global, &target, &PlanOptions::default(), false).await?;
    let report = ImportReport { tool, target: &target, ready: &ready, preview: &preview, checked, missing_record };
    if output.is_json() {
        output.document(&report.document())
    } else {
        report.print(output, global.verbose > 0)
    }
    Ok(Exit::Success)
}

/// The tool that a file belongs to, and where the file is.
fn tool(from: &Path) -> Result<(Tool, PathBuf), CommandFailure> {
    let main = target::here()?.join(from);
    let name = from.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let tool = Tool::of_named_file(name).ok_or_else(|| {
        let known: Vec<&str> = Tool::ALL.iter().map(|tool| tool.file_name()).chain(["a list as CSV"]).collect();
        let message = format!("Macadam can't import from {}", from.display());
        CommandFailure::new(Exit::Usage, message).hint(format!("name one of {}", known.join(", ")))
    })?;
    Ok((tool, main))
}

/// The project that is to be: in the folder of the tool's file.
fn find_target(global: &Global, main: &Path) -> Result<ProjectTarget, CommandFailure> {
    let here = target::here()?;
    let folder = main.parent().map(Path::to_owned).unwrap_or_else(|| here.clone());
    let manifest =
        global.manifest.as_ref().map_or_else(|| folder.join(DEFAULT_MANIFEST), |manifest| here.join(manifest));
    let real = |path: Option<&Path>| path.and_then(|path| path.canonicalize().ok());
    if real(manifest.parent()) != real(Some(&folder)) {
        let message = format!("the manifest has to be in the folder of {}", main.display());
        return Err(CommandFailure::new(Exit::Usage, message).hint("its paths are relative to that folder"));
    }
    let project = Project::find(Some(&manifest), global.state.as_deref(), &here)?;
    target::of_project(global, project)
}

fn asks(output: Printer) -> bool {
    !output.is_json() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks a person who owns the assets.
fn ask_creator(source: &Source) -> Result<Creator, CommandFailure> {
    let mut error = anstream::stderr();
    let question = format!("Who owns the assets of {}? user:ID or group:ID:", source.tool.name());
    let _ = write!(error, "{} ", fitted(&question));
    let _ = error.flush();
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    let creator = read.ok().and_then(|_| line.trim().parse::<Creator>().ok());
    creator.ok_or_else(|| {
        CommandFailure::new(Exit::Usage, "that is not an owner; nothing was written")
            .hint("write user:ID or group:ID, such as user:1234567")
    })
}

/// The result of a move.
struct ImportReport<'a> {
    tool: Tool,
    target: &'a ProjectTarget,
    ready: &'a PreparedImport,
    preview: &'a PlanPreview,
    /// A key was there, so that Roblox was asked.
    checked: bool,
    /// The tool's own record of its uploads, if it isn't there.
    missing_record: Option<&'static str>,
}

impl ImportReport<'_> {
    /// How many assets the next sync uploads, by the plan for what was written.
    fn uploads(&self) -> usize {
        let uploads = |action: &Action| {
            matches!(
                action,
                Action::Create(_) | Action::Replace { .. } | Action::UpdateContent { .. } | Action::Share { .. }
            )
        };
        self.preview.plan.steps.iter().filter(|step| uploads(&step.action)).count()
    }

    fn confirmed(&self) -> usize {
        self.ready.assets.iter().filter(|(_, _, confirmed)| *confirmed).count()
    }

    fn document(&self) -> Value {
        let PreparedImport { assets, existing, findings, creator, unasked, .. } = self.ready;
        let assets: Vec<Value> = assets
            .iter()
            .map(|(address, asset_id, verified)| {
                json!({ "address": address.as_str(), "asset_id": asset_id.get(), "verified": verified })
            })
            .collect();
        let findings: Vec<Value> = findings
            .iter()
            .map(|(kind, subjects)| {
                json!({
                    "kind": kind.name(),
                    "count": subjects.len(),
                    "subjects": subjects,
                    "advice": kind.advice(),
                })
            })
            .collect();
        json!({
            "tool": self.tool.name(),
            "manifest": self.target.project.manifest_name(),
            "lockfile": self.target.project.lockfile_name(),
            "creator": creator.to_string(),
            "assets": assets,
            "existing": existing,
            "findings": findings,
            "unasked": unasked.iter().map(|(asset_id, why)| json!({ "asset_id": asset_id.get(), "why": why })).collect::<Vec<_>>(),
            "uploads": self.uploads(),
            "missing_record": self.missing_record,
        })
    }

    fn print(&self, output: Printer, all: bool) {
        let PreparedImport { assets, existing, findings, creator, unasked, .. } = self.ready;
        let (manifest, lockfile) = (self.target.project.manifest_name(), self.target.project.lockfile_name());
        let count = plural(assets.len() as u64, "file");
        output.line(format!(
            "{} {count} from {}, with {} asset IDs, owned by {}",
            paint(TextStyle::Good, "took over"),
            self.tool.name(),
            if assets.len() == 1 { "its" } else { "their" },
            creator.in_words()
        ));
        let tool = self.tool.name();
        if let Some(record) = self.missing_record.filter(|_| self.uploads() > 0) {
            output.warning(format!(
                "there is no {record}, so Macadam can't know what {tool} uploaded, and the next sync uploads it again. Get that file \
                 first, remove {manifest} and {lockfile}, and import again; or go on, if {tool} uploaded nothing yet"
            ));
        } else if assets.is_empty() && *existing == 0 && self.uploads() > 0 {
            output.warning(format!(
                "nothing that {tool} uploaded was found, so the next sync uploads every file as a new asset. If {tool} uploaded them before, \
                 bring its lockfile back, remove {manifest} and {lockfile}, and import again"
            ));
        }
        if *existing > 0 {
            output.line(format!(
                "{} in [existing]: used by the game, never changed or uploaded",
                plural(*existing as u64, "asset")
            ));
        }
        output.line(format!(
            "wrote {manifest}, {lockfile} and {SCHEMA}; nothing was uploaded, and no file of {} was changed",
            self.tool.name()
        ));
        output.line(match (self.checked, assets.len() - self.confirmed()) {
            (true, 0) if assets.is_empty() => "Roblox confirmed the owner and type of none of the assets".to_owned(),
            (true, 0) => "Roblox confirmed the owner and type of every asset".to_owned(),
            (true, left) => format!(
                "Roblox did not confirm {}: the next sync asks again before it changes anything",
                plural(left as u64, "file")
            ),
            (false, _) => {
                "no API key, so Roblox was not asked: the first sync checks owner and type before it changes anything"
                    .to_owned()
            }
        });
        super::plan::warn_of_unasked(output, unasked);
        for (kind, subjects) in findings.iter() {
            output.line("");
            output.line(format!("{} {}", paint(TextStyle::Warning, "*"), kind.title(subjects.len())));
            let shown = if all { subjects.len() } else { LISTED };
            for subject in subjects.iter().take(shown) {
                output.line(format!("    {subject}"));
            }
            if subjects.len() > shown {
                output.line(format!("    and {} more (-v lists all)", subjects.len() - shown));
            }
            output.line(format!("  {}", kind.advice()));
        }
        output.line("");
        let planned = match self.uploads() {
            0 => "the next sync uploads nothing".to_owned(),
            uploads => {
                let files = plural(uploads as u64, "file");
                match self.missing_record {
                    Some(_) => format!("the next sync uploads {files}, also what {tool} uploaded already"),
                    None => format!("the next sync uploads {files}, and nothing that is uploaded already"),
                }
            }
        };
        output.line(format!("{} {planned}", paint(TextStyle::Good, "plan:")));
        output.line("");
        self.next(output);
    }

    /// Prints the steps that follow.
    fn next(&self, output: Printer) {
        let ProjectTarget { project, .. } = self.target;
        let (manifest, lockfile) = (project.manifest_name(), project.lockfile_name());
        let option =
            if manifest == DEFAULT_MANIFEST { String::new() } else { format!(" --manifest {}", quoted(&manifest)) };
        let driver = if ask::tracking(&project.lockfile).is_ok_and(|tracking| tracking.is_some()) {
            " --merge-driver"
        } else {
            ""
        };
        let codes: Vec<String> = self.preview.outputs.iter().map(|output| output.path.to_string()).collect();
        let mut steps = vec![("See for yourself:", format!("macadam plan{option}"))];
        if !codes.is_empty() {
            steps
                .push(("Take over the code files that the game requires:", format!("macadam outputs --adopt{option}")));
        }
        steps.push((
            "Have git merge the lockfile, by .gitattributes and a merge driver:",
            format!("macadam init{driver}{option}"),
        ));
        output.line("Next:");
        let last = steps.len() + 1;
        for (number, (text, command)) in (1..).zip(steps) {
            output.line(format!("  {number}. {text}"));
            output.to_copy(format!("     {}", invocation::repeated().added_to_one(&command)));
        }
        let files: Vec<String> =
            [manifest, lockfile, SCHEMA.to_owned(), ".gitattributes".to_owned()].into_iter().chain(codes).collect();
        let stop = match self.tool {
            Tool::List => String::new(),
            tool => format!(", and stop running {}", tool.name()),
        };
        output.line(format!("  {last}. Commit {}{stop}.", files.join(", ")));
    }
}
