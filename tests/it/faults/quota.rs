//! Upload quotas that are used up: in every spelling, reported in one line, and over by themselves.

use macadam::emulator::{ApiEndpoint, Config};
use serde_json::json;

use super::{Trial, generous, side_by_side};
use crate::support::{png, wav};

const MANIFEST: &str = "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/**/*.png\"\n\n[globs.sounds]\npath = \"sounds/*.wav\"\n\n[assets.sword]\npath = \"models/sword.rbxmx\"\n";

#[test]
fn a_used_up_quota_stops_its_type_alone_and_ends_by_itself() {
    let too_many = json!({"match": {"endpoint": "create_asset", "name": "s-"}, "action": {"kind": "reply", "status": 429, "shape": "service", "message": "The upload quota for AssetType Audio is exhausted."}});
    let cases = [
        ("429 resource exhausted", ("resource_exhausted", json!([]))),
        ("400", ("invalid_argument", json!([]))),
        ("403", ("permission_denied", json!([]))),
        ("429 service", ("resource_exhausted", too_many)),
    ];
    side_by_side(&cases, |(spelling, script)| {
        let mut trial = Trial::with(MANIFEST, Config { limits: generous(), ..Config::default() }).fault(script.clone());
        trial.remote.control().set_switches([("audio_quota", "0"), ("quota_refusal", *spelling)]).unwrap();
        (0..12).for_each(|n| trial.project.write(&format!("sounds/s-{n}.wav"), wav(n)));
        let ran = trial.project.run(&["sync", "--once", "--uploads", "1", "--timeout", "60s"]).expect(1);
        assert_eq!(trial.remote.assets().len(), 3, "pictures and models go on: {}", ran.stdout);
        let lines: Vec<&str> = ran.stdout.lines().filter(|line| line.contains("tries again by itself")).collect();
        assert_eq!(lines.len(), 1, "one line, not one for each: {}", ran.stdout);
        assert!(lines[0].contains("12 assets") && ran.stdout.contains("12 waiting"), "{}", ran.stdout);
        let creates = trial.remote.requests(ApiEndpoint::CreateAsset);
        assert_eq!(creates, 4, "one refusal is enough");
        let (_, status) = trial.project.json(&["status", "sounds/s-3.wav"]);
        assert_eq!(status["assets"][0]["state"], "pending", "no failure of the file: {status:#}");
        // Another run knows it, and other types still go up.
        trial.project.write("ui/more.png", png(77));
        let document = trial.document(30, 1);
        assert_eq!(Trial::outcome(&document, "sounds/s-3.wav"), "waiting", "{document:#}");
        assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), creates + 1);
        trial.remote.control().set_switch("audio_quota", "100").unwrap();
        trial.project.set_env("MACADAM_CLOCK_SHIFT", "3700");
        trial.converge();
        assert_eq!(trial.remote.assets().len(), 16);
    });
}
