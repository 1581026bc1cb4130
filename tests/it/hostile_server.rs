//! A hostile server: it sends the key back in its answers, and lists that never end.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::support::{Project, SECRET, png};

/// Answers every request with what `answer` makes of its first line; its URL. Goes with the process
/// of the tests.
fn serve(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = Vec::new();
            let mut piece = [0; 4096];
            // The head, and of the body as much as it announces.
            while let Ok(read @ 1..) = stream.read(&mut piece) {
                request.extend_from_slice(&piece[..read]);
                let text = String::from_utf8_lossy(&request).to_lowercase();
                let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
                let announced = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                if request.len() >= head.len() + 4 + announced.unwrap_or(0) {
                    break;
                }
            }
            let text = String::from_utf8_lossy(&request);
            let (status, body) = answer(text.lines().next().unwrap_or_default());
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-ratelimit-reset: {SECRET}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    url
}

/// Every way in which the key is written here.
fn spellings() -> [String; 4] {
    let each = |escape: &dyn Fn(u8) -> String| SECRET.bytes().map(escape).collect::<String>();
    [
        SECRET.to_owned(),
        each(&|byte| format!("\\u{byte:04x}")),
        each(&|byte| format!("%{byte:02X}")),
        format!("{}%2d{}", &SECRET[..4], &SECRET[5..]),
    ]
}

fn no_file_has_the_key(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            no_file_has_the_key(&path);
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        for spelling in spellings() {
            assert!(!text.contains(&spelling), "{} has the key as {spelling}", path.display());
        }
    }
}

/// A sync of as many pictures as there are spellings, whose creates are all answered with `status`
/// and `body`, `KEY` in it being the key.
fn sync_with(status: u16, body: &str) {
    let (body, asked) = (body.to_owned(), AtomicUsize::new(0));
    let url = serve(move |line| {
        let all = spellings();
        let key = &all[asked.fetch_add(1, Ordering::Relaxed) % all.len()];
        match line.split(' ').nth(1).unwrap_or_default() {
            "/api-keys/v1/introspect" => (404, format!(r#"{{"message":"no {key}"}}"#)),
            _ => (status, body.replace("KEY", key)),
        }
    });
    let mut manifest = "[creator]\nuser_id = 1\n".to_owned();
    for number in 0..spellings().len() {
        manifest += &format!("[assets.a{number}]\npath = \"{number}.png\"\ndisplay_name = \"A\"\n");
    }
    let project = Project::new(&manifest).at(&url);
    for number in 0..spellings().len() {
        project.write(&format!("{number}.png"), png(u8::try_from(number).unwrap()));
    }
    for args in [&["sync", "--once", "-vv", "--timeout", "2s"][..], &["status"], &["history", "a1"], &["plan"]] {
        let ran = project.run(args);
        let said = ran.stdout + &ran.stderr;
        assert!(spellings().iter().all(|spelling| !said.contains(spelling)), "{args:?}: {said}");
    }
    no_file_has_the_key(project.path());
}

#[test]
fn a_key_that_is_sent_back_is_never_kept_or_shown() {
    let answers: [(u16, &str); 5] = [
        (200, r#"{"path":"operations/KEY","operationId":"KEY","done":false}"#),
        (
            200,
            r#"{"path":"operations/a","done":true,"response":{"path":"assets/7","assetId":"7","assetType":"Image","displayName":"KEY","description":"KEY","moderationResult":{"moderationState":"Approved","note":"KEY"}}}"#,
        ),
        (400, r#"{"code":"KEY","message":"the key KEY is bad"}"#),
        (200, r#"{"path":"operations/a","done":true,"error":{"code":3,"message":"KEY"}}"#),
        (502, "<html>KEY</html>"),
    ];
    std::thread::scope(|scope| {
        for (status, body) in answers {
            scope.spawn(move || sync_with(status, body));
        }
    });
}

#[test]
fn an_endless_list_of_versions_is_read_up_to_a_reported_limit() {
    let page = AtomicU64::new(0);
    let url = serve(move |line| {
        if !line.contains("/versions") {
            return (404, r#"{"code":"NOT_FOUND","message":"no"}"#.to_owned());
        }
        let page = page.fetch_add(1, Ordering::Relaxed);
        let version = 1_000_000 - page;
        let body =
            format!(r#"{{"assetVersions":[{{"path":"assets/7/versions/{version}"}}],"nextPageToken":"{page}"}}"#);
        (200, body)
    });
    let project = Project::new("[creator]\nuser_id = 1\n[assets.sword]\npath = \"sword.fbx\"\n").at(&url);
    project.write(
        "assets.lock.toml",
        format!(
            "version = 1\nremote = \"{url}\"\n\n[assets.sword]\ntype = \"Model\"\ncreator = \"user:1\"\npath = \"sword.fbx\"\nrevisions = [\n  {{ asset_id = 7, revision = 1 }},\n]\n\n# end of lockfile\n"
        ),
    );
    let ran = project.run(&["history", "--remote", "-v", "sword"]).expect(0);
    assert!(ran.stdout.contains("only the newest 40 were read"), "{}", ran.stdout);
    assert_eq!(ran.stderr.matches("read a page of Roblox's list").count(), 40, "{}", ran.stderr);
    assert!(!ran.stdout.contains("missing"), "what was not read is not missing: {}", ran.stdout);
}

#[test]
fn addresses_that_differ_only_by_case_are_a_warning() {
    let project =
        Project::new("[creator]\nuser_id = 1\n[assets.Sword]\npath = \"a.png\"\n[assets.sword]\npath = \"b.png\"\n");
    project.write("a.png", png(1));
    project.write("b.png", png(2));
    for args in [&["check"][..], &["plan", "--emulator"], &["sync", "--once", "--emulator"]] {
        let ran = project.run(args).expect(0);
        let said = ran.stdout + &ran.stderr;
        assert!(said.contains("the addresses `Sword` and `sword` differ only by case"), "{args:?}: {said}");
    }
}
