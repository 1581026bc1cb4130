//! Commands beside a process that holds the state: the real program asks, and the other side is the
//! library as a service uses it.

use std::path::Path;
use std::process::{Child, Stdio};

use macadam::emulator::{ApiEndpoint, FaultAction, FaultRule, Point};
use macadam::testing::cloud::BaseUrl;
use macadam::testing::engine::Project as InnerProject;
use macadam::testing::engine::RequestQueue;
use macadam::testing::engine::Session;
use macadam::testing::model::{ProblemKind, Request, RequestDone, RequestId, RequestProblem, Resolution};
use macadam::testing::state::{RequestStart, SERVICE};
use serde_json::{Value, json};

use super::service::Service as RealService;
use super::support::system::{Signal, send};
use super::support::{Project, Ran, Remote, png};

/// The service's side, in this process: it holds the state as the service does, and takes requests
/// when the test says so.
struct Service {
    session: Session,
    queue: RequestQueue,
    runtime: tokio::runtime::Runtime,
}

impl Service {
    fn start(project: &Project, remote: &Remote) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let base: BaseUrl = remote.url().parse().unwrap();
        let found = InnerProject::find(Some(Path::new("assets.toml")), None, project.path()).unwrap();
        let (session, queue) = runtime.block_on(async {
            let session = Session::open(&found, &base.to_string(), SERVICE).await.unwrap();
            let queue = RequestQueue::open(&session);
            (session, queue)
        });
        Self { session, queue, runtime }
    }

    /// Waits for the next request, as long as one of `asking` lives to make one.
    fn next(&mut self, asking: &mut [Child]) -> (RequestId, Request) {
        loop {
            if let Some(found) = self.runtime.block_on(self.queue.next()).unwrap() {
                assert_eq!(self.begin(found.0), RequestStart::Wanted);
                return found;
            }
            let lives = asking.iter_mut().any(|asking| asking.try_wait().unwrap().is_none());
            assert!(lives, "the command ended without a request");
            self.runtime.block_on(self.queue.woken());
        }
    }

    /// As the service begins with it.
    fn begin(&self, id: RequestId) -> RequestStart {
        self.runtime.block_on(self.queue.start(id)).unwrap()
    }

    fn answer(&self, id: RequestId, result: Result<RequestDone, RequestProblem>) {
        self.runtime.block_on(self.queue.answer(id, result)).unwrap();
    }

    fn has_request(&self) -> bool {
        self.runtime.block_on(self.queue.next()).unwrap().is_some()
    }

    /// As when it is killed: what was taken is not answered.
    fn die(self) {
        let Self { session, queue, runtime } = self;
        drop(queue);
        runtime.block_on(session.close());
    }
}

fn spawn(project: &Project, args: &[&str]) -> Child {
    let mut command = project.command(&[args, &["--json"]].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(child: Child) -> (i32, Value) {
    let ran = Ran::of(child.wait_with_output().unwrap());
    let document = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}\n{}", ran.stdout, ran.stderr));
    (ran.code, document)
}

fn message(document: &Value) -> &str {
    document["errors"][0]["message"].as_str().unwrap_or_else(|| panic!("{document:#}"))
}

/// A picture whose create is in doubt, though it was made, and another that is there.
pub fn in_doubt() -> (Remote, Project, u64) {
    let remote = Remote::start();
    remote.control().set_switch("operation_visible_after_ms", "0").unwrap();
    let manifest = "[creator]\nuser_id = 1\n[policy]\nambiguous_create = \"hold\"\n[globs.ui]\npath = \"ui/*.png\"\n";
    let project = Project::new(manifest).at(&remote.url());
    project.write("ui/a.png", png(1));
    let reset = FaultRule::on(ApiEndpoint::CreateAsset, FaultAction::Reset { at: Point::AfterCommit });
    remote.control().add_faults(vec![reset.times(1)]).unwrap();
    project.run(&["sync", "--once"]).expect(1);
    let made = remote.assets()[0].asset.id;
    project.write("ui/b.png", png(2));
    project.run(&["sync", "--once"]).expect(1);
    (remote, project, made)
}

#[test]
fn two_commands_at_once_each_get_their_own_answer() {
    let (remote, project, _) = in_doubt();
    let mut service = Service::start(&project, &remote);
    let mut asking = [spawn(&project, &["retry", "ui/a.png"]), spawn(&project, &["resolve", "ui/a.png", "--recreate"])];
    for _ in 0..2 {
        let (id, request) = service.next(&mut asking);
        let hint = Some("a hint".to_owned());
        let (message, kind) = match request {
            Request::Retry { .. } => ("to the retry".to_owned(), ProblemKind::Credential),
            Request::Resolve { found: Resolution::Nothing, .. } => ("to the resolve".to_owned(), ProblemKind::Unusable),
            other => panic!("{other:?}"),
        };
        service.answer(id, Err(RequestProblem::new(kind, message, hint)));
    }
    let told = asking.map(ended);
    assert_eq!((told[0].0, message(&told[0].1)), (4, "to the retry"));
    assert_eq!((told[1].0, message(&told[1].1)), (3, "to the resolve"));
    assert_eq!(told[1].1["errors"][0]["hint"], "a hint");
}

#[test]
fn a_service_that_dies_is_noticed_and_nothing_is_done_twice() {
    let (remote, project, _) = in_doubt();
    // In the middle of it.
    let mut service = Service::start(&project, &remote);
    let mut asking = spawn(&project, &["resolve", "ui/a.png", "--recreate"]);
    service.next(std::slice::from_mut(&mut asking));
    service.die();
    let (code, document) = ended(asking);
    assert_eq!(code, 1, "{document:#}");
    assert!(message(&document).contains("ended while it was doing this"), "{document:#}");
    // The next one doesn't begin with it again.
    let service = Service::start(&project, &remote);
    assert!(!service.has_request());
    service.die();

    // Restarted so soon that the command never saw it gone.
    let mut service = Service::start(&project, &remote);
    let mut asking = spawn(&project, &["resolve", "ui/a.png", "--recreate"]);
    service.next(std::slice::from_mut(&mut asking));
    service.die();
    let service = Service::start(&project, &remote);
    let (code, document) = ended(asking);
    assert_eq!(code, 1, "{document:#}");
    let said = message(&document);
    assert!(said.contains("interrupted, try again") || said.contains("ended while"), "{document:#}");
    assert!(!service.has_request());
    service.die();

    // Before it began: the command does it itself.
    let service = Service::start(&project, &remote);
    let asking = spawn(&project, &["resolve", "ui/a.png", "--recreate"]);
    while requests(&project) < 3 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    service.die();
    let (code, document) = ended(asking);
    assert_eq!((code, &document["by_service"]), (0, &json!(false)), "{document:#}");
    project.sync();
    let service = Service::start(&project, &remote);
    assert!(!service.has_request());
}

/// How many requests were ever made.
fn requests(project: &Project) -> i64 {
    let state = rusqlite::Connection::open(project.state()).unwrap();
    let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'requests'), 0)";
    state.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn an_unstarted_request_is_withdrawn() {
    let (remote, project, _) = in_doubt();
    let service = Service::start(&project, &remote);
    let (code, document) = ended(spawn(&project, &["retry", "ui/a.png", "--patience", "1s"]));
    assert_eq!(code, 5, "{document:#}");
    assert!(message(&document).contains("has not started this"), "{document:#}");
    assert_eq!(requests(&project), 1);
    assert!(!service.has_request());
    service.die();

    let mut service = Service::start(&project, &remote);
    let mut asking = spawn(&project, &["retry", "ui/a.png", "--patience", "8s"]);
    let (id, _) = service.next(std::slice::from_mut(&mut asking));
    let (code, document) = ended(asking);
    assert_eq!(code, 1, "{document:#}");
    assert!(message(&document).contains("has not finished this"), "{document:#}");
    service.answer(id, Ok(RequestDone::default()));
}

/// Whether a command that waits for a service says that its request is in.
fn waits_for_request(project: &Project, count: i64) {
    while requests(project) < count {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// The requests of commands that were interrupted, or killed, were carried out minutes later.
#[test]
fn nothing_is_done_for_a_command_that_ended_while_it_waited() {
    let (remote, project, _) = in_doubt();
    project.git(&["init", "-q"]);
    let service = RealService::start(&project, &[]);
    service.until_synced("ui/b.png");
    project.write(".git/index.lock", "");
    for (count, signal, code) in [(1, Signal::INT, 130), (2, Signal::TERM, 143)] {
        let asking = spawn(&project, &["archive", "ui/b.png", "--yes"]);
        waits_for_request(&project, count);
        send(&asking, signal);
        let (ended, document) = ended(asking);
        assert_eq!(ended, code, "{document:#}");
        assert!(message(&document).contains("before the running `macadam sync` started this"), "{document:#}");
        assert_eq!(document["errors"][0]["hint"], "nothing was done");
    }
    let mut asking = spawn(&project, &["archive", "ui/b.png", "--yes"]);
    waits_for_request(&project, 3);
    asking.kill().unwrap();
    asking.wait().unwrap();
    project.remove(".git/index.lock");
    // A later request that is carried out: those before it are over.
    project.run(&["retry", "ui/a.png"]);
    let log = service.end();
    assert!(log.contains("`macadam archive ui/b.png` was not done"), "{log}");
    assert!(!log.contains("running `macadam archive"), "{log}");
    assert_eq!(remote.requests(ApiEndpoint::ArchiveAsset), 0);
    let left: Vec<_> =
        std::fs::read_dir(project.state_folder()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains(".request-")), "{left:?}");
}

#[test]
fn an_interrupted_command_says_that_the_service_is_doing_it() {
    let (remote, project, _) = in_doubt();
    let mut service = Service::start(&project, &remote);
    let mut asking = spawn(&project, &["retry", "ui/a.png"]);
    let (id, _) = service.next(std::slice::from_mut(&mut asking));
    send(&asking, Signal::INT);
    let (code, document) = ended(asking);
    assert_eq!(code, 130, "{document:#}");
    assert!(message(&document).contains("while the running `macadam sync` was doing this"), "{document:#}");
    assert!(document["errors"][0]["hint"].as_str().unwrap().contains("it goes on"), "{document:#}");
    service.answer(id, Ok(RequestDone::default()));
}
