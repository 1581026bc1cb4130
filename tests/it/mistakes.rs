//! What beginners write by mistake, and what Macadam says about it: the whole output of each, in
//! one snapshot. Each has to say what to write instead.
//!
//! Read next: [`super::snapshots`], which writes them anew.

use super::output::stable;
use super::support::{Project, Ran, Remote, png, rbxmx};

const OWNER: &str = "[creator]\nuser_id = 1234567\n\n";

/// A mistake: its name, the manifest, and the command that meets it.
type Mistake = (&'static str, &'static str, &'static [&'static str]);

const CHECK: &[&str] = &["check"];

/// Mistakes in the manifest, below a good owner.
const IN_ASSETS: &[Mistake] = &[
    ("curly quotes", "[assets.sword]\npath = “models/sword.rbxmx”\n", CHECK),
    ("no quotes around a path", "[assets.sword]\npath = models/sword.rbxmx\n", CHECK),
    ("a quote is missing", "[assets.sword]\npath = \"models/sword.rbxmx\n", CHECK),
    ("single quote at one end", "[assets.sword]\npath = 'models/sword.rbxmx\n", CHECK),
    ("[assets] with a path", "[assets]\npath = \"models/sword.rbxmx\"\n", CHECK),
    ("a path as the asset", "[assets]\nsword = \"models/sword.rbxmx\"\n", CHECK),
    ("a space in a name", "[assets.my sword]\npath = \"models/sword.rbxmx\"\n", CHECK),
    ("a dot in a name", "[assets.close.png]\npath = \"ui/close.png\"\n", CHECK),
    ("backslashes", "[assets.sword]\npath = \"models\\sword.rbxmx\"\n", CHECK),
    ("backslashes that are escapes", "[assets.close]\npath = \"ui\\new\\close.png\"\n", CHECK),
    ("single quotes and backslashes", "[assets.sword]\npath = 'models\\sword.rbxmx'\n", CHECK),
    ("a path of Windows", "[assets.sword]\npath = 'C:\\game\\models\\sword.rbxmx'\n", CHECK),
    ("an absolute path", "[assets.sword]\npath = \"/home/me/game/models/sword.rbxmx\"\n", CHECK),
    ("a path that leaves the folder", "[assets.sword]\npath = \"../models/sword.rbxmx\"\n", CHECK),
    ("a path that begins with ./", "[assets.sword]\npath = \"./models/sword.rbxmx\"\n", CHECK),
    ("file in place of path", "[assets.sword]\nfile = \"models/sword.rbxmx\"\n", CHECK),
    ("name in place of display_name", "[assets.sword]\npath = \"models/sword.rbxmx\"\nname = \"Sword\"\n", CHECK),
    ("desc in place of description", "[assets.sword]\npath = \"models/sword.rbxmx\"\ndesc = \"A sword\"\n", CHECK),
    ("group in place of creator", "[assets.sword]\npath = \"models/sword.rbxmx\"\ngroup = 7\n", CHECK),
    ("a folder as the path", "[assets.ui]\npath = \"ui\"\n", CHECK),
    ("a folder as a glob", "[globs.ui]\npath = \"ui\"\n", CHECK),
    ("a folder with a slash as a glob", "[globs.ui]\npath = \"ui/\"\n", CHECK),
    ("a pattern as an asset's path", "[assets.ui]\npath = \"ui/*.png\"\n", CHECK),
    ("a near miss of a file", "[assets.close]\npath = \"ui/clsoe.png\"\n", CHECK),
    ("another case of a file", "[assets.close]\npath = \"ui/Close.png\"\n", CHECK),
    ("another extension", "[assets.close]\npath = \"ui/close.jpg\"\n", CHECK),
    (
        "a near miss of an icon",
        "[assets.sword]\npath = \"models/sword.rbxmx\"\nicon = \"clsoe\"\n\n[assets.close]\npath = \"ui/close.png\"\n",
        CHECK,
    ),
    (
        "a file as the icon",
        "[assets.sword]\npath = \"models/sword.rbxmx\"\nicon = \"ui/close.png\"\n\n[assets.close]\npath = \"ui/close.png\"\n",
        CHECK,
    ),
    ("webp", "[assets.a]\npath = \"ui/a.webp\"\n", CHECK),
    ("svg", "[assets.a]\npath = \"ui/a.svg\"\n", CHECK),
    ("psd", "[globs.a]\npath = \"ui/*.psd\"\n", CHECK),
    ("blend", "[assets.a]\npath = \"models/a.blend\"\n", CHECK),
    ("no extension", "[assets.a]\npath = \"ui/close\"\n", CHECK),
    ("a type in small letters", "[assets.sword]\npath = \"models/sword.rbxmx\"\ntype = \"model\"\n", CHECK),
    ("sound in place of Audio", "[assets.sword]\npath = \"models/sword.rbxmx\"\ntype = \"Sound\"\n", CHECK),
    ("a price in quotes", "[assets.sword]\npath = \"models/sword.rbxmx\"\nexpected_price = \"0\"\n", CHECK),
    ("[asset.sword]", "[asset.sword]\npath = \"models/sword.rbxmx\"\n", CHECK),
    ("[[assets]]", "[[assets]]\npath = \"models/sword.rbxmx\"\n", CHECK),
    ("[globs] with a path", "[globs]\npath = \"ui/*.png\"\n", CHECK),
    ("a colon in place of =", "[assets.sword]\npath: \"models/sword.rbxmx\"\n", CHECK),
    ("a closing bracket is missing", "[assets.sword\npath = \"models/sword.rbxmx\"\n", CHECK),
    ("a pin in words", "[assets.sword]\npath = \"models/sword.rbxmx\"\n\n[pins]\nsword = \"one\"\n", CHECK),
    ("archive_after of no time", "[policy]\narchive_after = \"0d\"\n", CHECK),
    ("archive_after without a unit", "[policy]\narchive_after = 7\n", CHECK),
    ("an asset ID as the name", "[assets.123456789]\npath = \"models/sword.rbxmx\"\n", CHECK),
    ("a glob that finds nothing", "[globs.ui]\npath = \"images/**/*.png\"\n", CHECK),
    ("a glob in another case", "[globs.ui]\npath = \"ui/*.PNG\"\n", CHECK),
    ("two stars beside an extension", "[globs.ui]\npath = \"**.png\"\n", CHECK),
    ("two stars beside an extension, in a folder", "[globs.ui]\npath = \"ui/**.png\"\n", CHECK),
    ("a folder with a slash as the path", "[assets.ui]\npath = \"images/\"\n", CHECK),
    ("two slashes", "[assets.close]\npath = \"ui//close.png\"\n", CHECK),
    ("two slashes in a glob", "[globs.ui]\npath = \"ui//*.png\"\n", CHECK),
    ("a semicolon at the end", "[assets.sword]\npath = \"models/sword.rbxmx\";\n", CHECK),
    ("a comma at the end", "[assets.sword]\npath = \"models/sword.rbxmx\",\n", CHECK),
    ("a comment with slashes", "// my sword\n[assets.sword]\npath = \"models/sword.rbxmx\" // the model\n", CHECK),
    (
        "a comment with slashes after a number",
        "[assets.sword]\npath = \"models/sword.rbxmx\"\nexpected_price = 0 // free\n",
        CHECK,
    ),
    ("a pin in quotes", "[assets.close]\npath = \"ui/close.png\"\n\n[pins]\nclose = \"3\"\n", CHECK),
    ("a pin of an image at a number", "[assets.close]\npath = \"ui/close.png\"\n\n[pins]\nclose = 3\n", CHECK),
    ("[sword]", "[sword]\npath = \"models/sword.rbxmx\"\n", CHECK),
    ("[ui] with a glob", "[ui]\npath = \"ui/*.png\"\n", CHECK),
    ("rbxassetid as an icon", "[assets.sword]\npath = \"models/sword.rbxmx\"\nicon = \"rbxassetid://123\"\n", CHECK),
];

/// Mistakes about the owner, or in the whole file.
const WHOLE: &[Mistake] = &[
    ("a name as the user", "[creator]\nuser_id = bob\n", CHECK),
    ("a name in quotes as the user", "[creator]\nuser_id = \"bob\"\n", CHECK),
    ("a number in quotes as the user", "[creator]\nuser_id = \"1234567\"\n", CHECK),
    ("0 as the user", "[creator]\nuser_id = 0\n", CHECK),
    ("a negative number as the user", "[creator]\nuser_id = -5\n", CHECK),
    ("a comma after the user", "[creator]\nuser_id = 1234567,\n", CHECK),
    ("a comment with slashes after the user", "[creator]\nuser_id = 1234567 // me\n", CHECK),
    ("user and group", "[creator]\nuser_id = 1\ngroup_id = 2\n", CHECK),
    ("Asphalt's owner", "[creator]\ntype = \"user\"\nid = 1234567\n", CHECK),
    ("user in place of user_id", "[creator]\nuser = 1234567\n", CHECK),
    ("the owner outside of a table", "user_id = 1234567\n", CHECK),
    ("an empty file", "", CHECK),
];

/// Mistakes on the command line, with a good manifest.
const TYPED: &[Mistake] = &[
    ("a revision in words", "", &["pin", "sword", "one"]),
    ("a revision that is 0", "", &["pin", "sword", "0"]),
    ("pin without a revision", "", &["pin", "sword"]),
    ("pin of nothing", "", &["pin"]),
    ("unpin without a name", "", &["unpin"]),
    ("history of nothing", "", &["history"]),
    ("open of nothing", "", &["open"]),
    ("forget of nothing", "", &["forget"]),
    ("archive of nothing", "", &["archive"]),
    ("restore of nothing", "", &["restore"]),
    ("recreate without --creator", "", &["recreate", "sword"]),
    ("recreate of everything without --creator", "", &["recreate"]),
    ("resolve of nothing", "", &["resolve"]),
    ("retry without a name", "", &["retry"]),
    ("import of nothing", "", &["import"]),
    ("import without an asset ID", "", &["import", "sword"]),
    ("import --from of nothing", "", &["import", "--from"]),
    ("completions without a shell", "", &["completions"]),
    ("man without a folder", "", &["man"]),
    ("lockfile merge by hand", "", &["lockfile", "merge"]),
    ("--locked without --once", "", &["sync", "--locked"]),
    ("--yes without --adopt", "", &["outputs", "--yes"]),
    ("an option without its value", "", &["sync", "--once", "--overwrite"]),
    ("--manifest without its value", "", &["plan", "--manifest"]),
    ("an owner that is a number", "", &["init", "--creator", "123"]),
    ("an owner that is a name", "", &["init", "--creator", "bob"]),
    (
        "the page of an experience as the owner",
        "",
        &["init", "--creator", "https://www.roblox.com/games/920587237/Name"],
    ),
    ("an asset ID in words", "", &["import", "sword", "abc"]),
    ("an asset ID with its scheme", "", &["resolve", "sword", "--asset-id", "rbxassetid://sword"]),
    ("uploads in words", "", &["sync", "--once", "--uploads", "many"]),
    ("sync --force", "", &["sync", "--once", "--force"]),
    ("a timeout without a unit", "", &["sync", "--once", "--timeout", "30"]),
    ("no time", "", &["sync", "--once", "--timeout", "0d"]),
    ("a near miss of an address", "", &["status", "swrod"]),
    ("resolve without an answer", "", &["resolve", "sword"]),
    ("upload", "", &["upload"]),
    ("watch", "", &["watch"]),
    ("apply", "", &["apply"]),
    ("delete", "", &["delete", "sword"]),
    ("serve", "", &["serve"]),
    ("push", "", &["push"]),
    ("--dry-run", "", &["sync", "--dry-run"]),
    ("-once", "", &["sync", "-once"]),
    ("--once without a command", "", &["--once"]),
    ("undo", "", &["undo"]),
    ("add", "", &["add", "ui/close.png"]),
    ("login", "", &["login"]),
    ("plan of one asset", "", &["plan", "sword"]),
    ("check of one asset", "", &["check", "sword"]),
    ("an option of another command", "", &["plan", "--once"]),
    ("list of a kind", "", &["list", "images"]),
    ("status of a folder", "", &["status", "ui"]),
    ("unpin of nothing", "", &["unpin", "nope"]),
    ("unpin of what isn't pinned", "", &["unpin", "sword"]),
    ("retry of nothing", "", &["retry", "--all"]),
    ("init --force", "", &["init", "--force"]),
    ("a manifest that isn't there", "", &["check", "--manifest", "nope.toml"]),
];

#[test]
fn a_mistake_of_a_beginner_is_told_with_what_to_write() {
    let mut transcript = String::new();
    let owned = IN_ASSETS.iter().map(|(name, text, command)| (*name, format!("{OWNER}{text}"), *command));
    let whole = WHOLE.iter().map(|(name, text, command)| (*name, (*text).to_owned(), *command));
    let good = || format!("{OWNER}[assets.sword]\npath = \"models/sword.rbxmx\"\n\n[globs.ui]\npath = \"ui/*.png\"\n");
    let typed = TYPED.iter().map(|(name, _, command)| (*name, good(), *command));
    let mut told = 0;
    for (name, manifest, command) in owned.chain(whole).chain(typed) {
        let project = Project::new(&manifest);
        project.write("models/sword.rbxmx", rbxmx("sword"));
        project.write("ui/close.png", png(1));
        let ran = project.run(command);
        let folder = project.path().canonicalize().unwrap().display().to_string();
        let printed = stable(&format!("{}{}", ran.stdout, ran.stderr).replace(&folder, "FOLDER"));
        // Whose mistake it is: never a panic, and never silence.
        assert!(!printed.trim().is_empty() && !printed.contains("panicked"), "{name}: {printed}");
        told += 1;
        transcript.push_str(&format!("### {name}\n$ macadam {}\n{printed}", command.join(" ")));
        let code = if ran.code == 0 { String::new() } else { format!("[exit code {}]\n", ran.code) };
        transcript.push_str(&format!("{code}\n"));
    }
    assert!(told >= 40, "{told}");
    insta::assert_snapshot!("mistakes", transcript);
}

#[test]
fn the_line_to_write_has_every_word_that_was_typed() {
    let project = Project::new(&format!("{OWNER}[assets.sword]\npath = \"models/sword.rbxmx\"\n"));
    let check = |args: &[&str], wanted: &str| {
        let (code, document) = project.json(args);
        let hint = document["errors"][0]["hint"].as_str().unwrap_or_default();
        assert!(code == 64 && hint.starts_with(wanted), "{args:?}: {code} {document:#}");
    };
    check(&["recreate", "sword"], "write `macadam recreate --creator sword`; it uploads only this asset again");
    check(
        &["recreate", "--table", "old ids.csv", "-y", "sword", "ui/**"],
        "write `macadam recreate --creator --table 'old ids.csv' -y sword 'ui/**'`; it uploads only these assets again",
    );
    check(
        &["recreate", "--table=ids.csv"],
        "write `macadam recreate --creator --table=ids.csv`; it uploads everything",
    );
    // A hint of a rehearsal stays one.
    check(&["--emulator", "recreate", "sword"], "write `macadam recreate --creator sword --emulator`");
    check(&["archive", "--emulator"], "for example `macadam archive sword --emulator`");
    // The key in a word is never shown.
    check(&["recreate", "--api-key-file", "rbx-secret", "sword"], "write `macadam recreate --creator sword`;");
    check(&["sync", "--overwrite", "a b"], "write `macadam sync --once --overwrite 'a b'`");
    check(
        &["import", "--environment", "production"],
        "write `macadam import --from asphalt.toml --environment production`",
    );
    // The value of an option is no name.
    check(&["resolve", "--asset-id", "5"], "for example `macadam resolve sword --asset-id 1234567890`");
}

#[test]
fn an_asset_is_an_example_whatever_its_name() {
    let project = Project::new(&format!("{OWNER}[globs.m]\npath = \"m/*.png\"\n\n[pins]\n\"m/a b.png\" = 1\n"));
    let hint = || project.json(&["unpin"]).1["errors"][0]["hint"].as_str().unwrap_or_default().to_owned();
    let begins = |hint: &str, with: &str| assert!(hint.starts_with(with), "{hint}");
    begins(&hint(), "for example `macadam unpin 'm/a b.png'`");
    // Only a manifest that was read has no pins.
    project.write("assets.toml", "[creator\n");
    begins(&hint(), "for example `macadam unpin sword`");
    project.remove("assets.toml");
    begins(&hint(), "for example `macadam unpin sword`");
    project.write("assets.toml", OWNER);
    assert_eq!(hint(), "no asset is pinned");
}

/// A `.env` file whose key can't be meant: the message says so, and never what stands there.
#[test]
fn a_key_in_a_file_of_variables_is_read_as_it_is_written() {
    let project = Project::new(&format!("{OWNER}[assets.sword]\npath = \"models/sword.rbxmx\"\n"));
    project.write("models/sword.rbxmx", rbxmx("sword"));
    let asked = |line: &str| {
        project.write(".env", line);
        let ran = project.command(&["sync", "--once"]).env_remove("ROBLOX_API_KEY").output().unwrap();
        Ran::of(ran).expect(4).stderr
    };
    let open = asked("ROBLOX_API_KEY=\"hunter2\n");
    assert!(open.contains(".env: the closing quote is missing") && !open.contains("hunter2"), "{open}");
    let expanded = asked("ROBLOX_API_KEY=${HUNTER2}\n");
    assert!(expanded.contains("isn't replaced") && !expanded.contains("HUNTER2"), "{expanded}");
    assert!(!project.state().exists());
}

/// Where git can't say whether it has the `.env` file, the run says that nobody checked.
#[test]
#[cfg_attr(windows, ignore = "git is found without the path there")]
fn a_file_of_variables_that_git_could_not_be_asked_about_is_used_with_a_warning() {
    let remote = Remote::start();
    let manifest = "[creator]\nuser_id = 1\n\n[assets.sword]\npath = \"models/sword.rbxmx\"\n";
    let project = Project::new(manifest).at(&remote.url());
    project.write("models/sword.rbxmx", rbxmx("sword"));
    project.git(&["init", "-q"]);
    project.write(".env", "ROBLOX_API_KEY=abc\n");
    let no_git = tempfile::tempdir().unwrap();
    let ran =
        project.command(&["sync", "--once"]).env_remove("ROBLOX_API_KEY").env("PATH", no_git.path()).output().unwrap();
    let told = Ran::of(ran).stderr;
    assert!(told.contains("couldn't check that git doesn't have") && !told.contains("abc"), "{told}");
}
