//! Files of other tools that a pull request may have planted: a link, or text that is a secret.

use std::os::unix::fs::symlink;

use super::{empty, without_key};
use crate::support::{Remote, png};

const ASPHALT: &str =
    "[creator]\ntype = \"user\"\nid = 1\n\n[inputs.ui]\npath = \"ui/**/*.png\"\noutput_path = \"out\"\n";
const TARMAC: &str = "name = \"x\"\nincludes = [\"sub\"]\n\n[[inputs]]\nglob = \"ui/*.png\"\n";

/// The secrets that links lead to, in forms that the readers of TOML, JSON and YAML refuse.
const SECRETS: [(&str, &str); 4] = [
    (".env", "ROBLOX_API_KEY=hunter2\n"),
    ("netrc", "machine example.com login me password hunter2\n"),
    ("secret.json", "{\"key\": \"hunter2\", x"),
    ("secret.yml", "key: \"hunter2\n  - [hunter2\n"),
];

#[test]
fn no_link_of_another_tools_file_is_followed_and_no_line_of_it_shown() {
    let remote = Remote::start();
    for (main, text, planted) in [
        ("asphalt.toml", ASPHALT, "asphalt.lock.toml"),
        ("asphalt.toml", "", "asphalt.toml"),
        ("tarmac.toml", TARMAC, "tarmac-manifest.toml"),
        ("tarmac.toml", TARMAC, "sub/tarmac.toml"),
        ("tungsten.toml", ASPHALT, "tungsten.lock.toml"),
        (".mantle-state.yml", "", ".mantle-state.yml"),
        (".rbx-sync-cache.json", "", ".rbx-sync-cache.json"),
        (".rbx-sync-cache.json", "{}", "package.json"),
    ] {
        for (name, secret) in SECRETS {
            for is_link in [true, false] {
                let project = empty(&remote);
                project.write("ui/1.png", png(1));
                project.write(main, text);
                if !is_link {
                    project.write(planted, secret);
                    let ran = without_key(&project, &["import", "--from", main]);
                    assert!(!(ran.stdout + &ran.stderr).contains("hunter2"), "{main} {planted} with {name}");
                    continue;
                }
                let (elsewhere, place) = (tempfile::tempdir().unwrap(), project.file(planted));
                std::fs::write(elsewhere.path().join(name), secret).unwrap();
                std::fs::create_dir_all(place.parent().unwrap()).unwrap();
                let _ = std::fs::remove_file(&place); // it is only there where it is `main`
                symlink(elsewhere.path().join(name), place).unwrap();
                let ran = without_key(&project, &["import", "--from", main]).expect(3);
                assert!(ran.stderr.contains("link"), "{main} {planted}: {}", ran.stderr);
                assert!(!(ran.stdout + &ran.stderr).contains("hunter2"), "{main} {planted} -> {name}");
            }
        }
    }
}

#[test]
fn a_folder_that_an_include_names_is_no_link() {
    let remote = Remote::start();
    let project = empty(&remote);
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("tarmac.toml"), "name = \"hunter2\"\n").unwrap();
    project.write("tarmac.toml", TARMAC);
    symlink(elsewhere.path(), project.file("sub")).unwrap();
    let ran = without_key(&project, &["import", "--from", "tarmac.toml"]).expect(3);
    assert!(ran.stderr.contains("link"), "{}", ran.stderr);
}
