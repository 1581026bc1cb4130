//! Where things are: the manifest, and beside it the lockfile and the state. The one place that reads the manifest's file.
#![expect(clippy::disallowed_methods, reason = "this module reads the manifest")]

use std::io;
use std::path::{Path, PathBuf};

/// The manifest's name where none is given.
pub const DEFAULT_MANIFEST: &str = "assets.toml";

/// Where Macadam keeps what is not for git.
pub const PRIVATE_FOLDER: &str = ".macadam";

/// What keeps git from seeing it.
pub const PRIVATE_IGNORE: &str = "# Macadam's state: local, rebuilt from the lockfile.\n*\n";

/// The paths of one project: one manifest is one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The manifest's folder, to which all its paths are relative.
    pub root: PathBuf,
    /// The manifest.
    pub manifest: PathBuf,
    /// The lockfile.
    pub lockfile: PathBuf,
    /// The state database.
    pub state: PathBuf,
}

/// Why no project was found.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// No manifest here or above.
    #[error("no {DEFAULT_MANIFEST} in {} or a folder above it", .from.display())]
    NotFound {
        /// Where the search began.
        from: PathBuf,
    },
    /// The manifest could not be read.
    #[error("read the manifest {}", .path.display())]
    Read {
        /// The manifest.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The path names no file.
    #[error("{} names no manifest", .path.display())]
    NoName {
        /// The path as given.
        path: PathBuf,
    },
}

impl ProjectError {
    /// What would mend it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { .. } => {
                Some("`macadam init` writes one; `--manifest PATH` names one elsewhere".to_owned())
            }
            Self::Read { .. } | Self::NoName { .. } => None,
        }
    }
}

impl Project {
    /// Finds the project: the manifest as named, or `assets.toml` in `from` or the nearest folder above it.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(named: Option<&Path>, state: Option<&Path>, from: &Path) -> Result<Self, ProjectError> {
        let manifest = match named {
            Some(path) => from.join(path),
            None => from
                .ancestors()
                .map(|folder| folder.join(DEFAULT_MANIFEST))
                .find(|path| path.is_file())
                .ok_or_else(|| ProjectError::NotFound { from: from.to_owned() })?,
        };
        let no_name = || ProjectError::NoName { path: manifest.clone() };
        let stem = manifest.file_stem().and_then(|stem| stem.to_str()).ok_or_else(no_name)?.to_owned();
        let root = manifest.parent().ok_or_else(no_name)?.to_owned();
        let lockfile = root.join(format!("{stem}.lock.toml"));
        let state = state.map_or_else(|| root.join(PRIVATE_FOLDER).join(format!("{stem}.db")), |path| from.join(path));
        Ok(Self { root, manifest, lockfile, state })
    }

    /// The same project against the embedded emulator: with a state and lockfile of its own, so that the real ones are never touched.
    #[must_use]
    pub fn for_emulator(&self) -> Self {
        let folder = self.emulator_folder();
        let name = |path: &Path| path.file_name().map(|name| folder.join(name)).unwrap_or_else(|| folder.clone());
        Self { lockfile: name(&self.lockfile), state: name(&self.state), ..self.clone() }
    }

    /// Where the embedded emulator keeps its world, and its state and lockfile.
    pub fn emulator_folder(&self) -> PathBuf {
        self.root.join(PRIVATE_FOLDER).join("emulator")
    }

    /// Keeps git from seeing the private folder, if nobody has done so. Failing is no error: opening the state says what is wrong with the folder.
    pub fn hide_private_folder(&self) {
        let folder = self.root.join(PRIVATE_FOLDER);
        let made = std::fs::create_dir_all(&folder);
        let new = std::fs::OpenOptions::new().write(true).create_new(true).open(folder.join(".gitignore"));
        if let (Ok(()), Ok(mut file)) = (made, new) {
            let _ = std::io::Write::write_all(&mut file, PRIVATE_IGNORE.as_bytes());
        }
    }

    /// The manifest as messages name it.
    pub fn manifest_name(&self) -> String {
        self.manifest.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The bytes of the manifest.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn read_manifest(&self) -> Result<Vec<u8>, ProjectError> {
        std::fs::read(&self.manifest).map_err(|source| ProjectError::Read { path: self.manifest.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_found_above_and_its_files_stand_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        assert!(matches!(Project::find(None, None, &deep), Err(ProjectError::NotFound { .. })));
        std::fs::write(folder.path().join("assets.toml"), "").unwrap();
        let project = Project::find(None, None, &deep).unwrap();
        assert_eq!(project.root, folder.path());
        assert_eq!(project.lockfile, folder.path().join("assets.lock.toml"));
        assert_eq!(project.state, folder.path().join(".macadam/assets.db"));
        let staging = Project::find(Some(Path::new("../../assets.staging.toml")), None, &deep).unwrap();
        assert!(staging.lockfile.ends_with("assets.staging.lock.toml"));
        let emulated = project.for_emulator();
        assert_eq!(emulated.state, folder.path().join(".macadam/emulator/assets.db"));
        assert_eq!(emulated.lockfile, folder.path().join(".macadam/emulator/assets.lock.toml"));
        assert_eq!(emulated.manifest, project.manifest);
    }
}
