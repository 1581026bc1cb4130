//! Which file of a release an installer takes: how each of them chooses, as its source said in 2026,
//! over the names that `release/` gives. None of them can be asked to try a release that isn't there.

use std::path::Path;

use super::release::{self, TARGETS};

/// A machine that somebody installs Macadam on.
#[derive(Clone, Copy, Debug)]
struct Machine {
    target: &'static str,
    system: &'static str,
    processor: &'static str,
}

fn machine(target: &'static str) -> Machine {
    let system = ["windows", "darwin", "linux"].into_iter().find(|system| target.contains(system)).unwrap();
    let system = if system == "darwin" { "macos" } else { system };
    Machine { target, system, processor: target.split('-').next().unwrap() }
}

fn has_any(name: &str, words: &[&str]) -> bool {
    words.iter().any(|word| name.contains(word))
}

fn x86_64_or_aarch64(name: &str) -> Option<&'static str> {
    if has_any(name, &["x86-64", "x86_64", "amd64"]) {
        Some("x86_64")
    } else {
        has_any(name, &["aarch64", "arm64"]).then_some("aarch64")
    }
}

/// What a name says of the C library or compiler, in the order that Aftman and Rokit prefer.
fn toolchain(name: &str) -> usize {
    ["msvc", "gnu", "musl"].iter().position(|word| name.contains(word)).map_or(0, |at| at + 1)
}

/// The first file with the first of its words for the machine. Its own test has these names.
fn foreman<'a>(files: &[&'a str], machine: Machine) -> Option<&'a str> {
    let words: &[&str] = match (machine.system, machine.processor) {
        ("windows", _) => &["win32", "win64", "windows"],
        ("macos", "x86_64") => &["macos-x86_64", "darwin-x86_64", "macos", "darwin"],
        ("macos", _) => &["macos-arm64", "darwin-arm64", "macos-aarch64", "darwin-aarch64", "macos", "darwin"],
        (_, "x86_64") => &["linux-x86_64", "linux"],
        _ => &["linux-arm64", "linux-aarch64", "linux"],
    };
    words.iter().find_map(|word| files.iter().find(|file| file.contains(word))).copied()
}

/// Zip files of the system, of those the ones that the machine runs, of those x86_64 before others.
fn aftman<'a>(files: &[&'a str], machine: Machine) -> Option<&'a str> {
    let system = |name: &str| {
        let words =
            [("windows", &["windows", "win32", "win64"][..]), ("macos", &["macos", "osx"]), ("linux", &["linux"])];
        words.into_iter().find(|(_, words)| has_any(name, words)).map(|(system, _)| system)
    };
    let runs = |name: &str| {
        system(name) == Some(machine.system)
            && match x86_64_or_aarch64(name) {
                Some("x86_64") => machine.processor == "x86_64" || machine.system == "macos",
                // It knows aarch64 only on macOS.
                Some("aarch64") => machine.processor == "aarch64" && machine.system == "macos",
                _ => false,
            }
    };
    let mut found: Vec<&str> = files.iter().copied().filter(|file| file.ends_with(".zip")).collect();
    let any = |is: &dyn Fn(&str) -> bool, of: &[&str]| of.iter().any(|file| is(file));
    if any(&|file| system(file) == Some(machine.system), &found) {
        found.retain(|file| system(file) == Some(machine.system));
        if any(&runs, &found) {
            found.retain(|file| runs(file));
        }
    }
    found.into_iter().min_by_key(|file| (x86_64_or_aarch64(file) != Some("x86_64"), toolchain(file)))
}

/// Files of the system that the machine runs, its own first, then those that name no toolchain.
fn rokit<'a>(files: &[&'a str], machine: Machine) -> Option<&'a str> {
    let system = |name: &str| {
        let words = [
            ("windows", &["windows"][..]),
            ("macos", &["macos", "darwin", "apple"]),
            ("linux", &["linux", "ubuntu", "debian", "fedora"]),
        ];
        let word = |part: &str| match part {
            "win" | "win32" | "win64" => Some("windows"),
            "mac" | "osx" => Some("macos"),
            _ => None,
        };
        let found = words.into_iter().find(|(_, words)| has_any(name, words)).map(|(system, _)| system);
        found.or_else(|| name.split(['-', '_']).find_map(word))
    };
    let runs = |name: &str| {
        let processor = x86_64_or_aarch64(name);
        processor == Some(machine.processor) || (machine.system == "macos" && processor == Some("x86_64"))
    };
    files
        .iter()
        .copied()
        .filter(|file| system(file) == Some(machine.system) && runs(file))
        .min_by_key(|file| (x86_64_or_aarch64(file) != Some(machine.processor), toolchain(file)))
}

/// The most points; the wrong processor and packages are out.
fn mise<'a>(files: &[&'a str], machine: Machine) -> Option<&'a str> {
    let points = |file: &str| {
        let system = ["linux", "darwin", "macos", "windows"].into_iter().find(|system| file.contains(system));
        let system = system.map_or(0, |found| {
            if found == machine.system || (found, machine.system) == ("darwin", "macos") { 100 } else { -100 }
        });
        let processor = match x86_64_or_aarch64(file) {
            Some(found) if found == machine.processor => 50,
            Some(_) => return None,
            None => 0,
        };
        let library = match (machine.system, toolchain(file)) {
            ("macos", _) | (_, 0) => 0,
            ("windows", 1) | ("linux", 2) => 25,
            _ => -10,
        };
        let format = match (file.ends_with(".zip"), machine.system) {
            (true, "windows") => 15,
            (true, _) => 5,
            (false, _) => {
                if file.ends_with(".tar.gz") {
                    10
                } else {
                    0
                }
            }
        };
        Some(system + processor + library + format).filter(|points| *points > 0 && !file.ends_with(".deb"))
    };
    let scored = files.iter().filter_map(|file| points(file).map(|points| (-points, file.len(), *file)));
    scored.min().map(|(_, _, file)| file)
}

/// The name is in Cargo.toml, for each target that the machine runs.
fn binstall<'a>(files: &[&'a str], machine: Machine) -> Option<&'a str> {
    let manifest: toml::Table = release::read("Cargo.toml").parse().unwrap();
    let url = manifest["package"]["metadata"]["binstall"]["pkg-url"].as_str().unwrap();
    let name = url.rsplit('/').next().unwrap().replace("{ name }", "macadam").replace("{ target }", machine.target);
    files.iter().copied().find(|file| *file == name)
}

#[test]
fn each_installer_takes_the_program_of_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let dist = folder.path().join("dist");
    for target in TARGETS {
        let program = folder.path().join(target);
        std::fs::write(&program, target).unwrap();
        release::script("archive", &[Path::new(target), &program, &dist]);
    }
    for other in ["macadam_0.1.0_amd64.deb", "macadam_0.1.0_arm64.deb", "macadam-man-completions.tar.gz"] {
        std::fs::write(dist.join(other), other).unwrap();
    }
    release::script("checksums", &[&dist]);
    let names = std::fs::read_dir(&dist).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // GitHub lists them by name; nothing may hang on that.
    let mut sorted: Vec<String> = names.collect();
    sorted.sort();
    let forward: Vec<&str> = sorted.iter().map(String::as_str).collect();
    let backward: Vec<&str> = forward.iter().rev().copied().collect();

    type Choice = for<'a> fn(&[&'a str], Machine) -> Option<&'a str>;
    let installers: [(&str, Choice); 5] =
        [("Foreman", foreman), ("Aftman", aftman), ("Rokit", rokit), ("mise", mise), ("cargo-binstall", binstall)];
    for (installer, choose) in installers {
        for target in TARGETS {
            // Apple silicon runs Intel's programs, and Aftman prefers them.
            let expected = match (installer, target) {
                ("Aftman", "aarch64-apple-darwin") => "x86_64-apple-darwin",
                // It doesn't know such a machine; README.md says so.
                ("Aftman", "aarch64-unknown-linux-musl") => continue,
                _ => target,
            };
            let archive = std::fs::read(dist.join(format!("macadam-{expected}.zip"))).unwrap();
            for files in [&forward, &backward] {
                let taken = choose(files, machine(target)).unwrap_or_else(|| panic!("{installer}, {target}: none"));
                assert_eq!(std::fs::read(dist.join(taken)).unwrap(), archive, "{installer} takes {taken} on {target}");
            }
        }
    }
}
