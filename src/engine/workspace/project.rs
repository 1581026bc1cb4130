//! The paths of a project: the manifest, the lockfile beside it, and the state where
//! [`crate::engine::workspace::state_folder`] puts it. The only place that reads and writes the
//! manifest's file.
//!
//! The user chooses the manifest's folder, and its links are resolved here, once. From then on no
//! path of the project leads through a link ([`crate::platform::own_file`]).

use std::io;
use std::path::{Path, PathBuf};

use crate::engine::workspace::git::WorkTreeError;
use crate::engine::workspace::rehearsal_pins;
use crate::engine::workspace::state_folder::StateFolder;
use crate::manifest;
use crate::model::address::Address;
use crate::model::desired::Pin;
use crate::platform::atomic_file::{AtomicWriteError, write_atomic_if};
use crate::platform::own_file::{self, Access, How, PathRefusal};
use crate::platform::owner::{self, Owner};
use crate::state::StateError;
use crate::state::store::Store;

/// The number of times an edit is applied again because the manifest changed meanwhile. People and
/// tools save now and then; a program that saves faster would never let any edit in.
const EDIT_TRIES: usize = 5;

/// The most files of a folder that are looked into for a manifest, and the most bytes of each.
const MAX_NEARBY: usize = 20;
const MAX_NEARBY_BYTES: u64 = 1 << 20;

/// The default name of the manifest.
pub(crate) const DEFAULT_MANIFEST: &str = "assets.toml";

/// Hides a state folder beside the manifest from git, in case the folder becomes a checkout later.
pub(crate) const PRIVATE_IGNORE: &str = "# Macadam's state: local, rebuilt from the lockfile.\n*\n";

/// The paths of one project: one manifest is one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The manifest's folder, to which all its paths are relative.
    pub root: PathBuf,
    /// The manifest.
    pub manifest: PathBuf,
    /// The lockfile.
    pub lockfile: PathBuf,
    /// The access rights of a new lockfile.
    pub lockfile_access: Access,
    /// The state database.
    pub state: PathBuf,
    /// The folder to which the paths of outputs are relative: the manifest's, except with the
    /// embedded emulator.
    pub outputs: PathBuf,
    /// The file with the pins of a rehearsal, on top of those of the manifest.
    pub rehearsal_pins: Option<PathBuf>,
    /// The folder of the state; `None` if the user named the state's path.
    folder: Option<StateFolder>,
    /// Whether a CI machine checked the project out, so that no one edits its files.
    pub in_ci: bool,
    /// The server that the assets belong to, once it is known.
    pub remote: Option<String>,
}

/// Why no project was found.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// There is no manifest here or above.
    #[error("there is no {DEFAULT_MANIFEST} in {} or a parent folder", .from.display())]
    NotFound {
        /// The folder where the search began.
        from: PathBuf,
    },
    /// The named manifest doesn't exist.
    #[error("there is no manifest {}", .path.display())]
    Absent {
        /// The manifest.
        path: PathBuf,
        /// The names of the manifests in its folder.
        nearby: Vec<String>,
    },
    /// The manifest could not be read.
    #[error("can't read the manifest {}", .path.display())]
    Read {
        /// The manifest.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A manifest in a folder above belongs to another user, and would decide what is uploaded with
    /// this user's key.
    #[error("{} belongs to {owner}, and Macadam found it only because it is in a parent folder", .path.display())]
    OthersManifest {
        /// The manifest.
        path: PathBuf,
        /// Its owner.
        owner: Owner,
    },
    /// The path names no file.
    #[error("{} is not a manifest file", .path.display())]
    NoName {
        /// The path as given.
        path: PathBuf,
    },
    /// The place of the state is unknown.
    #[error(transparent)]
    WorkTree(#[from] WorkTreeError),
}

impl ProjectError {
    /// Returns how to fix it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => {
                Some("run `macadam init` to start one, or choose one with `--manifest PATH`".to_owned())
            }
            Self::Absent { nearby, .. } => Some(match nearby.as_slice() {
                [] => "`macadam init` writes one, under the same `--manifest`".to_owned(),
                [one] if one == DEFAULT_MANIFEST => format!("{one} is there: leave out `--manifest` to use it"),
                [one] => format!("{one} is there: choose it with `--manifest`"),
                several => format!("in that folder there are {}", several.join(", ")),
            }),
            Self::WorkTree(_) => Some(
                "repair the checkout (`git status` says what is wrong), or choose another place with --state"
                    .to_owned(),
            ),
            Self::Read { source, .. } => match own_file::refusal(source) {
                Some(PathRefusal::TooLong { .. }) => {
                    Some("check that it is a manifest; [globs] finds many files without an entry for each".to_owned())
                }
                _ => own_file::hint(source),
            },
            Self::OthersManifest { path, .. } => Some(format!(
                "if you trust it, name it: `--manifest {}`; `macadam init` writes one of your own here",
                path.display()
            )),
            Self::NoName { .. } => None,
        }
    }
}

/// Why the manifest was not edited. It is unchanged, unless [`EditManifestError::Write`] says
/// otherwise.
#[derive(Debug, thiserror::Error)]
pub enum EditManifestError<E: std::error::Error + 'static> {
    /// It could not be read.
    #[error(transparent)]
    Read(ProjectError),
    /// It is not UTF-8.
    #[error("can't edit the manifest {}: it is not UTF-8", .path.display())]
    NoText {
        /// The manifest.
        path: PathBuf,
    },
    /// The edit refused its text.
    #[error("can't edit the manifest {}", .path.display())]
    Edit {
        /// The manifest.
        path: PathBuf,
        /// The cause.
        source: E,
    },
    /// It could not be replaced.
    #[error("can't write the manifest {}", .path.display())]
    Write {
        /// The manifest.
        path: PathBuf,
        /// The cause.
        source: AtomicWriteError,
    },
    /// Another program wrote it each time.
    #[error("can't edit the manifest {}: another program changed it {tries} times meanwhile", .path.display())]
    Busy {
        /// The manifest.
        path: PathBuf,
        /// The number of times the edit was applied.
        tries: usize,
    },
}

impl<E: std::error::Error + 'static> EditManifestError<E> {
    /// Returns how to fix it, where this level knows; the source of [`EditManifestError::Edit`] has
    /// a hint of its own.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read(error) => error.hint(),
            Self::NoText { .. } => Some("save the file as UTF-8".to_owned()),
            Self::Edit { .. } => None,
            Self::Write { source, .. } => source.hint(),
            Self::Busy { .. } => Some("close the program that writes it, and try again".to_owned()),
        }
    }
}

impl Project {
    /// Finds the project: the named manifest, or `assets.toml` in `from` or the nearest folder
    /// above; and its state, at the named path or the default one.
    ///
    /// # Errors
    /// When there is none, or the place of its state is unknown.
    pub fn find(named: Option<&Path>, state: Option<&Path>, from: &Path) -> Result<Self, ProjectError> {
        let mut project = Self::find_files(named, from)?;
        match state {
            Some(path) => (project.state, project.folder) = (own_file::named(&from.join(path)), None),
            None => {
                let folder = StateFolder::of(&project.root)?;
                (project.state, project.folder) = (folder.state(&project.manifest), Some(folder));
            }
        }
        Ok(project)
    }

    /// Finds the project for a command that needs no state, without looking for a git checkout.
    ///
    /// # Errors
    /// When there is none.
    pub fn find_files(named: Option<&Path>, from: &Path) -> Result<Self, ProjectError> {
        let manifest = match named {
            Some(path) => own_file::named(&from.join(path)),
            None => search(from)?,
        };
        let no_name = || ProjectError::NoName { path: manifest.clone() };
        let stem = manifest.file_stem().and_then(|stem| stem.to_str()).ok_or_else(no_name)?.to_owned();
        let root = manifest.parent().ok_or_else(no_name)?.to_owned();
        let lockfile = root.join(format!("{stem}.lock.toml"));
        let folder = StateFolder::beside(&root);
        let (state, folder, outputs) = (folder.state(&manifest), Some(folder), root.clone());
        let lockfile_access = Access::Usual;
        let (rehearsal_pins, in_ci, remote) = (None, false, None);
        Ok(Self { state, folder, root, manifest, lockfile, lockfile_access, outputs, rehearsal_pins, in_ci, remote })
    }

    /// Returns the same project for a server. Each server has a state of its own: the first one has
    /// the default path, the others have a folder beside it. A path that the user named stays.
    #[must_use]
    pub fn for_remote(mut self, remote: &str) -> Self {
        self.remote = Some(remote.to_owned());
        let Some(folder) = &self.folder else { return self };
        let own = folder.state_of_server(remote, &self.state);
        let has_own = match Store::open_read_only(&self.state, remote) {
            Err(StateError::OtherRemote { .. }) => true,
            // The first server's state was deleted since.
            Ok(None) => own.is_file(),
            // Opening the state reports every other error.
            Ok(Some(_)) | Err(_) => false,
        };
        if has_own { Self { state: own, ..self } } else { self }
    }

    /// Returns the same project for the embedded emulator, with its own state, lockfile, pins and
    /// outputs, so that the real ones are never touched. They lie in the default place of the
    /// state, even if the state's path was named.
    ///
    /// # Errors
    /// When that place is unknown.
    pub fn for_emulator(&self) -> Result<Self, ProjectError> {
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => StateFolder::of(&self.root)?,
        };
        let inside = folder.emulator();
        let name = |path: &Path| path.file_name().map(|name| inside.join(name)).unwrap_or_else(|| inside.clone());
        let (lockfile, lockfile_access) = (name(&self.lockfile), Access::Private);
        let (state, outputs) = (name(&self.state), inside.join("outputs"));
        let rehearsal_pins = Some(state.with_extension("pins"));
        let folder = Some(folder);
        Ok(Self { lockfile, lockfile_access, state, outputs, rehearsal_pins, folder, ..self.clone() })
    }

    /// Returns the folder in which the embedded emulator keeps its data, beside its state and
    /// lockfile. For a project of [`Project::for_emulator`].
    pub fn emulator_folder(&self) -> PathBuf {
        self.state.parent().map(Path::to_owned).unwrap_or_default()
    }

    /// Creates the state's folder if it is Macadam's own, with access for this user alone, even if
    /// it existed before. Hides one beside the manifest from git, unless that was done before. A
    /// failure is not an error: opening the state reports the problem.
    pub fn prepare_state_folder(&self) {
        // A named folder belongs to the user.
        let Some(folder) = &self.folder else { return };
        let all = [Some(folder.path()), self.state.parent()];
        let made = all.into_iter().flatten().all(|folder| own_file::create_private_folder(folder).is_ok());
        let StateFolder::Beside(folder) = folder else { return };
        if !made {
            return;
        }
        let new = own_file::open(&folder.join(".gitignore"), How::NewPrivate);
        if let Ok(mut file) = new {
            let _ = io::Write::write_all(&mut file, PRIVATE_IGNORE.as_bytes());
        }
    }

    /// Returns the current default path of the state. It differs from the one at the start if the
    /// folder has become a checkout, or stopped being one.
    ///
    /// # Errors
    /// When it is unknown.
    pub fn state_now(&self) -> Result<PathBuf, WorkTreeError> {
        let Some(folder) = &self.folder else { return Ok(self.state.clone()) };
        let now = StateFolder::of(&self.root)?;
        Ok(if now == *folder { self.state.clone() } else { now.state(&self.manifest) })
    }

    /// Returns the path that the state had before the folder became a git checkout, if it is one
    /// now. A process that started before then still holds it.
    pub fn state_before_git(&self) -> Option<PathBuf> {
        let StateFolder::OfGit(_) = self.folder.as_ref()? else { return None };
        let before = StateFolder::beside(&self.root);
        // A link from a pull request is not a folder that Macadam made.
        let is_ours = std::fs::symlink_metadata(before.path()).is_ok_and(|found| found.is_dir());
        is_ours.then(|| before.state(&self.manifest))
    }

    /// Returns the manifest's name for messages.
    pub fn manifest_name(&self) -> String {
        self.manifest.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Returns the lockfile's name for messages.
    pub fn lockfile_name(&self) -> String {
        self.lockfile.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Reads the manifest, with the pins of a rehearsal.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read_manifest(&self) -> Result<Vec<u8>, ProjectError> {
        let bytes = self.read_real_manifest()?;
        let Some(path) = &self.rehearsal_pins else { return Ok(bytes) };
        let pins = rehearsal_pins::read(path).map_err(|source| ProjectError::Read { path: path.clone(), source })?;
        // Reading a text that is not UTF-8 as a manifest reports that.
        let text = String::from_utf8(bytes).map(|text| rehearsal_pins::apply(text, &pins).into_bytes());
        Ok(text.unwrap_or_else(std::string::FromUtf8Error::into_bytes))
    }

    fn read_real_manifest(&self) -> Result<Vec<u8>, ProjectError> {
        own_file::read(&self.manifest, manifest::MAX_BYTES as u64).map_err(|source| {
            let path = self.manifest.clone();
            match source.kind() {
                io::ErrorKind::NotFound => ProjectError::Absent { nearby: manifests_in(&self.root), path },
                _ => ProjectError::Read { path, source },
            }
        })
    }

    /// Pins addresses in a rehearsal, or takes their pins away. Returns whether that changed
    /// anything, or `None` if this is no rehearsal: then the manifest has to be edited. Blocks: it
    /// waits for the disk.
    ///
    /// # Errors
    /// When the rehearsal's pins can't be read or written.
    pub fn pin_in_rehearsal<E: std::error::Error + 'static>(
        &self,
        pins: impl IntoIterator<Item = (Address, Option<Pin>)>,
    ) -> Result<Option<bool>, EditManifestError<E>> {
        let Some(path) = &self.rehearsal_pins else { return Ok(None) };
        let read = |source| EditManifestError::Read(ProjectError::Read { path: path.clone(), source });
        let before = rehearsal_pins::read(path).map_err(read)?;
        let mut after = before.clone();
        after.extend(pins);
        if after == before {
            return Ok(Some(false));
        }
        self.prepare_state_folder();
        rehearsal_pins::write(path, &after)
            .map_err(|source| EditManifestError::Write { path: path.clone(), source })?;
        Ok(Some(true))
    }

    /// Edits the manifest. `edit` receives its text, including a byte order mark, and returns the
    /// new text, or `None` to leave it; it may be called several times. Returns whether the file
    /// changed. Blocks: it waits for the disk.
    ///
    /// The file is replaced as a whole and durably, and keeps its permissions. Changes by others
    /// meanwhile are not lost. Right before the replacement the file is read again, and if it
    /// differs, the edit is applied to the new text.
    ///
    /// # Errors
    /// See [`EditManifestError`].
    pub fn edit_manifest<E: std::error::Error + 'static>(
        &self,
        edit: impl Fn(&str) -> Result<Option<String>, E>,
    ) -> Result<bool, EditManifestError<E>> {
        let path = || self.manifest.clone();
        for _ in 0..EDIT_TRIES {
            let old = self.read_real_manifest().map_err(EditManifestError::Read)?;
            let text = std::str::from_utf8(&old).map_err(|_| EditManifestError::NoText { path: path() })?;
            let edited = edit(text).map_err(|source| EditManifestError::Edit { path: path(), source })?;
            let Some(new) = edited.filter(|new| new != text) else { return Ok(false) };
            let write = |out: &mut dyn io::Write| out.write_all(new.as_bytes());
            let still = || Ok(own_file::read(&self.manifest, manifest::MAX_BYTES as u64)? == old);
            if write_atomic_if(&self.manifest, write, still)
                .map_err(|source| EditManifestError::Write { path: path(), source })?
            {
                return Ok(true);
            }
        }
        Err(EditManifestError::Busy { path: path(), tries: EDIT_TRIES })
    }
}

/// Returns the nearest `assets.toml` in `from` or above it. A folder above may be anyone's, so a
/// manifest found there must belong to this user.
fn search(from: &Path) -> Result<PathBuf, ProjectError> {
    for folder in from.ancestors() {
        let path = folder.join(DEFAULT_MANIFEST);
        // Anything but a folder counts: reading it reports a link or a FIFO, and no other manifest
        // is taken instead.
        match std::fs::symlink_metadata(&path) {
            Ok(found) if !found.is_dir() => {
                let others =
                    if folder == from { None } else { owner::foreign(folder).or_else(|| owner::foreign(&path)) };
                return match others {
                    Some(owner) => Err(ProjectError::OthersManifest { path, owner }),
                    None => Ok(own_file::named(&path)),
                };
            }
            _ => {}
        }
    }
    Err(ProjectError::NotFound { from: from.to_owned() })
}

/// Returns the names of the manifests in a folder, sorted.
fn manifests_in(folder: &Path) -> Vec<String> {
    let names = folder.read_dir().into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter(|name| name.ends_with(".toml") && !name.ends_with(".lock.toml")).collect();
    names.sort();
    names.truncate(MAX_NEARBY);
    names.retain(|name| {
        let bytes = own_file::read(&folder.join(name), MAX_NEARBY_BYTES).unwrap_or_default();
        manifest::parse(&bytes, name).is_ok()
    });
    names
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn a_manifest_is_found_above_and_its_files_stand_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        assert!(matches!(Project::find(None, None, &deep), Err(ProjectError::NotFound { .. })));
        std::fs::write(folder.path().join("assets.toml"), "").unwrap();
        let project = Project::find(None, None, &deep).unwrap();
        assert_eq!(project.root, crate::platform::own_file::resolved(folder.path()).unwrap());
        assert_eq!(project.lockfile, folder.path().join("assets.lock.toml"));
        assert_eq!(project.state, folder.path().join(".macadam/assets.db"));
        let staging = Project::find(Some(Path::new("../../assets.staging.toml")), None, &deep).unwrap();
        assert!(staging.lockfile.ends_with("assets.staging.lock.toml"));
        let emulated = project.for_emulator().unwrap();
        assert_eq!(emulated.state, folder.path().join(".macadam/emulator/assets.db"));
        assert_eq!(emulated.lockfile, folder.path().join(".macadam/emulator/assets.lock.toml"));
        assert_eq!(emulated.manifest, project.manifest);
        assert_eq!(emulated.outputs, folder.path().join(".macadam/emulator/outputs"));
        assert_eq!(project.outputs, project.root);
    }

    fn written(text: &str) -> (tempfile::TempDir, Project) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("assets.toml"), text).unwrap();
        let project = Project::find(None, None, folder.path()).unwrap();
        (folder, project)
    }

    fn more(text: &str) -> Result<Option<String>, Infallible> {
        Ok(Some(format!("{text}c\r\n")))
    }

    #[test]
    fn an_edit_replaces_the_manifest() {
        let (_folder, project) = written("\u{feff}a\r\n");
        assert!(project.edit_manifest(more).unwrap());
        let text = || String::from_utf8(project.read_manifest().unwrap()).unwrap();
        assert_eq!(text(), "\u{feff}a\r\nc\r\n");
        assert!(!project.edit_manifest(|_| Ok::<_, Infallible>(None)).unwrap());
        assert!(!project.edit_manifest(|text| Ok::<_, Infallible>(Some(text.to_owned()))).unwrap());
        let refused = project.edit_manifest(|_| Err(io::Error::other("no"))).unwrap_err();
        assert!(matches!(refused, EditManifestError::Edit { .. }), "{refused:?}");
        assert!(refused.to_string().contains("assets.toml"), "{refused}");
        assert_eq!(text(), "\u{feff}a\r\nc\r\n");
    }

    #[test]
    fn concurrent_changes_by_others_are_kept() {
        let (_folder, project) = written("a\n");
        let calls = Cell::new(0);
        let others = |text: &str| {
            calls.set(calls.get() + 1);
            if calls.get() < 3 {
                std::fs::write(&project.manifest, format!("{text}b{}\n", calls.get())).unwrap();
            }
            more(text)
        };
        assert!(project.edit_manifest(others).unwrap());
        assert_eq!((project.read_manifest().unwrap(), calls.get()), (b"a\nb1\nb2\nc\r\n".to_vec(), 3));

        let restless = |text: &str| {
            std::fs::write(&project.manifest, format!("{text}!")).unwrap();
            more(text)
        };
        let busy = project.edit_manifest(restless).unwrap_err();
        assert!(matches!(busy, EditManifestError::Busy { tries: EDIT_TRIES, .. }), "{busy:?}");
        assert_eq!(project.read_manifest().unwrap(), b"a\nb1\nb2\nc\r\n!!!!!");
        assert_eq!(std::fs::read_dir(&project.root).unwrap().count(), 1, "a temporary file is left");
    }

    #[test]
    fn a_manifest_that_vanishes_or_is_not_utf8_is_not_recreated() {
        let (folder, project) = written("a\n");
        let vanishes = |text: &str| {
            std::fs::remove_file(&project.manifest).unwrap();
            more(text)
        };
        let error = project.edit_manifest(vanishes).unwrap_err();
        assert!(matches!(error, EditManifestError::Write { .. }), "{error:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(matches!(project.edit_manifest(more), Err(EditManifestError::Read(_))));
        std::fs::write(&project.manifest, b"\xff").unwrap();
        let error = project.edit_manifest(more).unwrap_err();
        assert!(matches!(error, EditManifestError::NoText { .. }) && error.hint().is_some(), "{error:?}");
    }

    #[cfg(unix)]
    #[test]
    fn an_edit_keeps_permissions_and_goes_through_no_link() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let (folder, project) = written("a\n");
        let real = folder.path().join("real.toml");
        std::fs::set_permissions(&project.manifest, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(project.edit_manifest(more).unwrap());
        let found = std::fs::metadata(&project.manifest).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
        std::fs::rename(&project.manifest, &real).unwrap();
        symlink("real.toml", &project.manifest).unwrap();
        let error = project.edit_manifest(more).unwrap_err();
        assert!(matches!(&error, EditManifestError::Read(ProjectError::Read { .. })) && error.hint().is_some());
        assert_eq!(std::fs::read(&real).unwrap(), b"a\nc\r\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_or_a_fifo_in_place_of_the_manifest_is_found_and_no_other_is_taken_instead() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(folder.path().join("assets.toml"), "").unwrap();
        symlink("nowhere", deep.join("assets.toml")).unwrap();
        let project = Project::find_files(None, &deep).unwrap();
        assert!(project.root.ends_with("a/b"));
        let error = project.read_manifest().unwrap_err();
        assert!(error.hint().is_some_and(|hint| hint.contains("in place of the link")), "{error:?}");
    }
}
