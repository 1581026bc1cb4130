//! The scripts of release/ as the workflow runs them: names and contents of what people download,
//! and the Debian package in a root of its own. Where bash or a tool of Debian is missing, a test
//! says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::support::git::git;
use super::support::{Project, Ran, system};

/// The systems that a release has a program for.
pub(super) const TARGETS: [&str; 5] = [
    "x86_64-pc-windows-msvc",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(super) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn workflow() -> Value {
    serde_saphyr::from_str(&read(".github/workflows/release.yml")).unwrap()
}

/// Runs a script of release/.
#[track_caller]
pub(super) fn script(name: &str, args: &[&Path]) -> Ran {
    let mut command = Command::new("bash");
    command.arg(root().join("release").join(name)).args(args);
    // What is uncompressed is made fast; the workflow doesn't set it.
    command.env("DPKG_DEB_COMPRESSOR_TYPE", "none").env("MAINTAINER", "A Name <a@users.noreply.github.com>");
    Ran::of(command.output().expect("bash")).expect(0)
}

/// A stand-in for a program: nothing here looks into it.
fn stand_in(folder: &Path) -> PathBuf {
    let path = folder.join("built");
    std::fs::write(&path, "#!/bin/sh\necho macadam stands in\n").unwrap();
    system::make_executable(&path);
    path
}

fn is_there(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: there is no {tool}");
    }
    there
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// Name, Unix mode, CRC and length of each file of a zip, from its central directory (APPNOTE 4.3.12).
fn entries(zip: &[u8]) -> Vec<(String, u32, u32, u32)> {
    let number = |at: usize, width: usize| {
        zip[at..at + width].iter().rev().fold(0_u32, |number, byte| (number << 8) | u32::from(*byte))
    };
    let end = zip.windows(4).rposition(|bytes| bytes == b"PK\x05\x06").expect("a zip");
    assert_eq!(zip.len() - end, 22, "it has no comment");
    let mut at = number(end + 16, 4) as usize;
    let mut found = Vec::new();
    for _ in 0..number(end + 10, 2) {
        assert_eq!(&zip[at..at + 4], b"PK\x01\x02");
        let lengths = [28, 30, 32].map(|field| number(at + field, 2) as usize);
        let name = String::from_utf8(zip[at + 46..at + 46 + lengths[0]].to_vec()).unwrap();
        found.push((name, number(at + 38, 4) >> 16, number(at + 16, 4), number(at + 24, 4)));
        at += 46 + lengths.iter().sum::<usize>();
    }
    found
}

#[test]
fn each_archive_holds_the_program_alone() {
    let folder = tempfile::tempdir().unwrap();
    let program = stand_in(folder.path());
    let bytes = std::fs::read(&program).unwrap();
    for target in TARGETS {
        let dist = folder.path().join("dist");
        script("archive", &[Path::new(target), &program, &dist]);
        let name = format!("macadam-{target}.zip");
        let zip = std::fs::read(dist.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let inside = if target.contains("windows") { "macadam.exe" } else { "macadam" };
        let length = u32::try_from(bytes.len()).unwrap();
        assert_eq!(entries(&zip), [(inside.to_owned(), 0o100_755, crc32(&bytes), length)], "{target}");
        // Equal programs make equal archives.
        script("archive", &[Path::new(target), &program, &folder.path().join("again")]);
        assert_eq!(std::fs::read(folder.path().join("again").join(&name)).unwrap(), zip, "{target}");
    }
}

#[test]
fn pages_and_completions_are_apart_and_the_sums_check_out() {
    let folder = tempfile::tempdir().unwrap();
    script("extras", &[Path::new(env!("CARGO_BIN_EXE_macadam")), folder.path()]);
    let page = std::fs::read_to_string(folder.path().join("man/macadam-sync.1")).unwrap();
    assert!(page.contains("\\-\\-once"), "{page}");
    for (file, says) in
        [("macadam.bash", "complete"), ("_macadam", "#compdef macadam"), ("macadam.fish", "complete --")]
    {
        let text = std::fs::read_to_string(folder.path().join("completions").join(file)).unwrap();
        assert!(text.contains(says), "{file}");
    }
    let archive = "macadam-man-completions.tar.gz";
    let listed = Command::new("tar").arg("-tzf").arg(folder.path().join(archive)).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("man/macadam.1\n") && listed.contains("completions/_macadam\n"), "{listed}");
    // An installer must not take it for the program.
    assert!(
        !["windows", "win", "apple", "macos", "darwin", "linux", "x86", "arm"]
            .iter()
            .any(|word| archive.contains(word))
    );

    let dist = tempfile::tempdir().unwrap();
    for name in ["macadam-a.zip", "macadam-b.zip"] {
        std::fs::write(dist.path().join(name), name).unwrap();
    }
    // A second time: the sums of before are not among what is summed.
    script("checksums", &[dist.path()]);
    script("checksums", &[dist.path()]);
    let sums = std::fs::read_to_string(dist.path().join("SHA256SUMS")).unwrap();
    assert_eq!(
        sums.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect::<Vec<_>>(),
        ["macadam-a.zip", "macadam-b.zip"]
    );
    let check =
        || Command::new("shasum").args(["-a", "256", "--check", "SHA256SUMS"]).current_dir(dist.path()).output();
    if is_there("shasum") {
        assert!(check().unwrap().status.success());
        std::fs::write(dist.path().join("macadam-b.zip"), "another").unwrap();
        assert!(!check().unwrap().status.success());
    }
}

#[test]
fn the_debian_package_installs_program_units_pages_and_completions() {
    if !is_there("dpkg-deb") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (program, extras) = (stand_in(folder.path()), folder.path().join("extras"));
    script("extras", &[Path::new(env!("CARGO_BIN_EXE_macadam")), &extras]);
    let version = Path::new("1.2.3-rc.1");
    let built = || {
        script("deb", &[version, Path::new("amd64"), &program, &extras, folder.path()]);
        std::fs::read(folder.path().join("macadam_1.2.3-rc.1_amd64.deb")).unwrap()
    };
    assert_eq!(built(), built(), "equal files make an equal package");
    let package = folder.path().join("macadam_1.2.3-rc.1_amd64.deb");
    let field = |name: &str| {
        let output = Command::new("dpkg-deb").arg("--field").arg(&package).arg(name).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    assert_eq!((field("Version").as_str(), field("Architecture").as_str()), ("1.2.3~rc.1", "amd64"));

    let installed = folder.path().join("root");
    std::fs::create_dir_all(installed.join("var/lib/dpkg/updates")).unwrap();
    std::fs::create_dir_all(installed.join("var/lib/dpkg/info")).unwrap();
    std::fs::create_dir_all(installed.join("etc")).unwrap();
    std::fs::write(installed.join("var/lib/dpkg/status"), "").unwrap();
    let mut install = Command::new("dpkg");
    install.arg(format!("--root={}", installed.display()));
    // Another machine's package, without its own shell, and without what it depends on.
    install.args(["--force-not-root", "--force-script-chrootless", "--force-depends", "--force-architecture"]);
    let output = install.args(["--log=/dev/null", "--install"]).arg(&package).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let text =
        |path: &str| std::fs::read_to_string(installed.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let ran = Ran::of(Command::new(installed.join("usr/bin/macadam")).output().unwrap()).expect(0);
    assert_eq!(ran.stdout, "macadam stands in\n");
    for (unit, command) in [
        ("macadam.service", "ExecStart=/usr/bin/macadam sync"),
        ("macadam-once.service", "ExecStart=/usr/bin/macadam sync"),
        ("macadam-once.timer", "OnCalendar="),
        ("macadam-pull.service", "ExecStart=git pull"),
        ("macadam-pull.timer", "OnCalendar="),
    ] {
        let own = text(&format!("usr/lib/systemd/system/{unit}"));
        assert!(!own.contains("/usr/local/bin/macadam") && own.contains(&format!("\n{command}")), "{unit}");
    }
    assert!(text("usr/lib/sysusers.d/macadam.conf").starts_with("u macadam "));
    assert!(text("usr/share/bash-completion/completions/macadam").contains("complete"));
    assert!(text("usr/share/zsh/vendor-completions/_macadam").starts_with("#compdef"));
    assert!(text("usr/share/doc/macadam/copyright").contains("MIT"));
    for packed in ["man/man1/macadam.1.gz", "man/man1/macadam-sync.1.gz", "doc/macadam/changelog.gz"] {
        assert!(installed.join("usr/share").join(packed).exists(), "{packed}");
    }
    // Whoever installed it enables a unit, once there are a checkout and a key.
    assert!(!installed.join("etc/systemd").exists());
}

#[test]
fn the_workflow_builds_five_targets_and_signs_what_it_publishes() {
    let workflow = workflow();
    assert_eq!(workflow["on"], json!({ "push": { "tags": ["v*"] } }));
    assert_eq!(workflow["permissions"], json!({ "contents": "read" }));
    let (build, publish) = (&workflow["jobs"]["build"], &workflow["jobs"]["publish"]);
    let matrix = build["strategy"]["matrix"]["include"].as_array().unwrap();
    assert_eq!(matrix.iter().map(|entry| entry["target"].as_str().unwrap()).collect::<Vec<_>>(), TARGETS);
    assert_eq!(publish["permissions"], json!({ "contents": "write", "id-token": "write", "attestations": "write" }));
    let mut scripts = String::new();
    for job in [build, publish] {
        assert!(job["timeout-minutes"].as_u64().is_some());
        for step in job["steps"].as_array().unwrap() {
            if let Some(uses) = step["uses"].as_str() {
                let commit = uses.split('@').nth(1).unwrap();
                assert!(commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()), "{uses} is not pinned");
            }
            if let Some(run) = step["run"].as_str() {
                assert!(!run.contains("${{"), "an expression becomes part of the script: {run}");
                scripts.push_str(run);
            }
        }
    }
    for name in ["archive", "extras", "deb", "checksums", "notes.md", "Dockerfile"] {
        assert!(root().join("release").join(name).exists(), "{name}");
        assert!(scripts.contains(&format!("release/{name}")), "{name} is used by no step");
    }
    let attests = |step: &Value| step["uses"].as_str().is_some_and(|uses| uses.contains("attest-build-provenance"));
    assert!(publish["steps"].as_array().unwrap().iter().any(attests));
}

/// The step of the workflow, as it is written there, over programs that stand in. Only lintian, which
/// has much to say of those, is left out.
#[test]
fn the_workflow_makes_every_file_of_a_release() {
    if !is_there("dpkg-deb") || !is_there("unzip") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["release", "systemd", "docs", "CHANGELOG.md", "LICENSE-MIT", "assets.toml.example"] {
        system::symlink(root().join(name), path(name)).unwrap();
    }
    git(folder.path(), &["init", "--quiet"]);
    git(folder.path(), &["commit", "--quiet", "--allow-empty", "-m", "a release"]);
    let program = path("program");
    std::fs::write(&program, format!("#!/bin/sh\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_macadam"))).unwrap();
    system::make_executable(&program);
    for target in TARGETS {
        script("archive", &[Path::new(target), &program, &path("dist")]);
    }
    std::fs::create_dir(path("bin")).unwrap();
    std::fs::write(path("bin/lintian"), "#!/bin/sh\nls \"$3\" \"$4\"\n").unwrap();
    system::make_executable(&path("bin/lintian"));

    let workflow = workflow();
    let steps = workflow["jobs"]["publish"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["name"] == "make the packages").unwrap()["run"].as_str().unwrap();
    let mut command = Command::new("bash");
    // As the hosted runner starts it.
    command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step]).current_dir(folder.path());
    let tools = format!("{}:{}", path("bin").display(), std::env::var("PATH").unwrap());
    command.env("PATH", tools).env("GITHUB_REF_NAME", "v0.1.0-rc.1").env("MAINTAINER", "A Name <a@example.org>");
    Ran::of(command.env("DPKG_DEB_COMPRESSOR_TYPE", "none").output().unwrap()).expect(0);

    let sums = std::fs::read_to_string(path("dist/SHA256SUMS")).unwrap();
    let mut expected: Vec<String> = TARGETS.iter().map(|target| format!("macadam-{target}.zip")).collect();
    for name in ["linux-aarch64.zip", "linux-x86_64.zip", "macos-aarch64.zip", "macos-x86_64.zip"] {
        expected.push(format!("macadam-{name}"));
    }
    expected.push("macadam-man-completions.tar.gz".to_owned());
    expected.extend(["amd64", "arm64"].map(|machine| format!("macadam_0.1.0-rc.1_{machine}.deb")));
    expected.sort();
    assert_eq!(sums.lines().map(|line| line.split_once("  ").unwrap().1).collect::<Vec<_>>(), expected);
}

#[test]
fn the_container_is_confined_and_ends_in_order() {
    let text = read("release/Dockerfile").replace("\\\n", " ");
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
    let one = |word: &str| {
        let found: Vec<&&str> = lines.iter().filter(|line| line.starts_with(&format!("{word} "))).collect();
        assert_eq!(found.len(), 1, "{word}: {found:?}");
        found[0][word.len()..].trim().to_owned()
    };
    let user: u32 = one("USER").split(':').next().unwrap().parse().expect("a number, which Kubernetes can check");
    assert!(user > 0, "not root");
    assert_eq!((one("VOLUME"), one("WORKDIR"), one("STOPSIGNAL")), ("/game".into(), "/game".into(), "SIGTERM".into()));
    assert!(one("HEALTHCHECK").contains("http://127.0.0.1:9400/healthz"));
    // No shell between the signal and the program.
    let list = |text: String| serde_json::from_str::<Vec<String>>(&text).unwrap();
    let command = list(one("CMD"));
    assert_eq!(list(one("ENTRYPOINT")), ["/sbin/tini", "--", "/usr/local/bin/macadam"]);
    is_usage(&command);
}

/// That the program knows these arguments: it looks for the manifest, which isn't there.
#[track_caller]
fn is_usage(arguments: &[String]) {
    let project = Project::new("");
    project.remove("assets.toml");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ran = project.run(&arguments).expect(3);
    assert!(ran.stderr.contains("assets.toml"), "{}", ran.stderr);
}

#[test]
fn the_example_for_launchd_is_a_property_list_with_arguments_that_the_program_knows() {
    let text = read("launchd/macadam.plist");
    let mut reader = quick_xml::Reader::from_str(&text);
    while reader.read_event().unwrap() != quick_xml::events::Event::Eof {}
    let strings: Vec<String> =
        text.split("<string>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()).collect();
    let program = strings.iter().position(|text| text == "/usr/local/bin/macadam").unwrap();
    is_usage(&strings[program + 1..program + 6]);
}
