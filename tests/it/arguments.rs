//! Random arguments are a command or wrong usage, with an exit code of the table, and never a
//! panic.

use std::ffi::OsString;
use std::process::Command;

use proptest::prelude::*;

use super::support::system;

/// Commands that end by themselves, and options of all kinds. No key is there, and no manifest, so
/// nothing is ever sent.
const WORDS: [&str; 30] = [
    "init",
    "check",
    "plan",
    "sync",
    "status",
    "history",
    "resolve",
    "retry",
    "lockfile",
    "merge",
    "completions",
    "bash",
    "help",
    "--once",
    "--json",
    "--locked",
    "--manifest",
    "--state",
    "--api-url",
    "--api-key-file",
    "--timeout",
    "--asset-id",
    "--recreate",
    "--log-format",
    "-v",
    "-q",
    "--color",
    "--help",
    "--",
    "--list-switches",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_arguments_make_the_program_panic(
        words in prop::collection::vec(
            prop_oneof![
                3 => prop::sample::select(&WORDS[..]).prop_map(OsString::from),
                1 => prop::collection::vec(1_u8.., 0..12).prop_map(system::any_text),
            ],
            0..7,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_macadam"));
        command.args(&words).current_dir(folder.path()).env_clear().env("HOME", folder.path());
        system::prepare(&mut command);
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        prop_assert!(!stderr.contains("panicked"), "{words:?}: {stderr}");
        let code = output.status.code();
        prop_assert!(matches!(code, Some(0 | 1 | 3 | 4 | 64)), "{words:?}: {code:?} {stderr}");
        let has = |wanted: &str| words.iter().any(|word| word == wanted);
        // Behind `--` it is no option.
        if has("--json") && !has("--") && !has("completions") && code != Some(0) {
            let document: Result<serde_json::Value, _> = serde_json::from_slice(&output.stdout);
            prop_assert!(document.is_ok(), "{words:?}: {}", String::from_utf8_lossy(&output.stdout));
        }
    }
}
