//! Runs another program once, for a short answer. Its time, its output and the environment that it
//! sees are bounded.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The answer of a program.
#[derive(Debug)]
pub(crate) struct ProgramOutput {
    /// The exit status.
    pub status: ExitStatus,
    /// Standard output, byte for byte.
    pub raw: Vec<u8>,
    /// Standard error, as text.
    pub complained: String,
}

impl ProgramOutput {
    /// Returns standard output as text.
    ///
    /// # Errors
    /// When it is not UTF-8: a text with replacements would name something else.
    pub(crate) fn said(&self) -> Result<&str, String> {
        std::str::from_utf8(&self.raw).map_err(|_| "the answer is not UTF-8".to_owned())
    }
}

/// Runs `program` with `input` and only the variables in `inherited` of this process's environment,
/// and waits at most `patience`. Reads at most `most` bytes of each output.
///
/// # Errors
/// When the program can't be started, or does not end in time; it is killed then.
#[expect(clippy::disallowed_methods, reason = "hands on variables of this process")]
pub(crate) fn ask<'a>(
    program: &str,
    arguments: impl IntoIterator<Item = &'a OsStr>,
    environment: &[(&str, &str)],
    inherited: &[&str],
    input: &[u8],
    (patience, most): (Duration, u64),
) -> io::Result<ProgramOutput> {
    let found = std::env::var_os("PATH").and_then(|folders| found(program, &folders));
    let mut command = Command::new(found.as_deref().unwrap_or_else(|| Path::new(program)));
    command.args(arguments).env_clear();
    command.envs(inherited.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
    command.envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (said, complained) = (reader(child.stdout.take(), most), reader(child.stderr.take(), most));
    if let Some(mut stdin) = child.stdin.take() {
        // A program may answer before it has read all of a long input, or hang and never read it.
        let input = input.to_owned();
        // One that doesn't read its input has its answer already.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let bytes = |from: mpsc::Receiver<Vec<u8>>| from.recv_timeout(patience);
    match (bytes(said), bytes(complained)) {
        (Ok(raw), Ok(complained)) => {
            let complained = String::from_utf8_lossy(&complained).into_owned();
            Ok(ProgramOutput { status: child.wait()?, raw, complained })
        }
        _ => {
            end(child);
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {} s", patience.as_secs())))
        }
    }
}

/// Finds a program as the system would, in `folders` as `PATH` has them. One of which the place is known
/// is begun without a copy of this process's memory, which may be large, and changes meanwhile.
#[cfg(unix)]
fn found(program: &str, folders: &OsStr) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;

    let is_program = |place: &PathBuf| {
        place.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(folders).map(|folder| folder.join(program)).find(is_program)
}

/// Windows begins every process so.
#[cfg(windows)]
const fn found(_program: &str, _folders: &OsStr) -> Option<PathBuf> {
    None
}

/// Reads to the end in a thread of its own, which ends with the program.
fn reader(stream: Option<impl io::Read + Send + 'static>, most: u64) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            // Bytes before an error count. Every caller treats an empty answer as wrong.
            let _ = stream.take(most).read_to_end(&mut bytes);
        }
        let _ = send.send(bytes); // the caller may have stopped waiting
    });
    receive
}

fn end(mut child: Child) {
    let _ = child.kill(); // it may have ended
    let _ = child.wait();
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test makes programs by hand")]
    fn a_program_is_found_where_the_system_would_find_it() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let places = ["folder", "text", "first", "second"].map(|name| folder.path().join(name));
        places.iter().for_each(|place| std::fs::create_dir(place).unwrap());
        std::fs::create_dir(places[0].join("tool")).unwrap();
        for (place, mode) in places.iter().skip(1).zip([0o644, 0o755, 0o755]) {
            std::fs::write(place.join("tool"), "").unwrap();
            std::fs::set_permissions(place.join("tool"), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let folders = std::env::join_paths(&places).unwrap();
        assert_eq!(found("tool", &folders), Some(places[2].join("tool")));
        assert_eq!(found("other", &folders), None);
    }

    #[test]
    fn a_program_that_never_reads_its_input_is_not_waited_for_longer_than_that() {
        let input = vec![b'x'; 1 << 20]; // more than a pipe holds
        let asked = ask("sleep", ["60".as_ref()], &[], &["PATH"], &input, (Duration::from_millis(100), 1 << 16));
        assert_eq!(asked.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
