//! Requests of other commands to the service that holds the state.
//!
//! This is the one table that a second process writes: with [`RequestClient`] it adds a row and
//! removes it again, beside the writer. The rest is up to the writer: it marks a request as it
//! starts, and answers it afterwards. So a crash in between leaves a row that was marked and not
//! answered, which is never started again.
//!
//! A client holds the lock of a file of its own beside the state while it waits. The kernel frees
//! the lock with the process, so a request whose lock is free has nobody who waits for it. A number
//! of a process would not do: it is given again, and means another process in a container. Where
//! the lock can't be looked at, its request counts as one that nobody waits for: to do nothing can
//! be made good.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Result, TransactionBehavior};

use super::{Store, open, request_form, rows, schema};
use crate::model::request::{ProblemKind, Request, RequestDone, RequestId, RequestProblem};
use crate::platform::lock::{FileLock, is_locked};
use crate::platform::own_file;
use crate::state::error::StateError;

/// How many answered requests are kept for a person who reads them later.
const KEPT: i64 = 200;

/// The progress of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestProgress {
    /// The service has not started it.
    Waiting,
    /// The service works on it.
    Taken,
    /// The service has answered it.
    Answered(std::result::Result<RequestDone, RequestProblem>),
    /// There is no such request.
    Gone,
}

/// Whether a request may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestStart {
    /// Its client waits for it.
    Wanted,
    /// Its client took it back.
    Withdrawn,
    /// Its client has ended. The request was answered, and never starts.
    Abandoned,
}

impl Store {
    /// Returns the oldest request that was not started. A request that this program doesn't
    /// understand is answered at once, and not returned.
    ///
    /// # Errors
    /// When the database can't be read or written.
    pub fn next_request(&mut self, now: Timestamp) -> std::result::Result<Option<(RequestId, Request)>, StateError> {
        loop {
            let sql = "SELECT id, command, arguments FROM requests
                       WHERE answered_at IS NULL AND taken_at IS NULL ORDER BY id LIMIT 1";
            let oldest = || -> Result<Option<(i64, String, String)>> {
                let mut oldest = self.connection.prepare_cached(sql)?;
                oldest.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
            };
            let oldest = oldest().map_err(|error| self.failed("read the requests", error))?;
            let Some((id, command, arguments)) = oldest else { return Ok(None) };
            let id = RequestId::new(id);
            match request_form::request(&command, &arguments) {
                Ok(request) => return Ok(Some((id, request))),
                Err(why) => {
                    let problem = RequestProblem::new(
                        ProblemKind::Refused,
                        format!("the running `macadam sync` doesn't understand this command: {why}"),
                        Some("stop it, and start it again with this version of Macadam".to_owned()),
                    );
                    self.answer_request(id, &Err(problem), now)?;
                }
            }
        }
    }

    /// Returns whether a request that was not started may still start.
    ///
    /// # Errors
    /// When the database can't be read or written.
    pub fn may_start_request(
        &mut self,
        id: RequestId,
        now: Timestamp,
    ) -> std::result::Result<RequestStart, StateError> {
        let sql = "SELECT taken_at IS NOT NULL FROM requests WHERE id = ?1";
        let taken: Option<bool> = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut one| one.query_row([id.get()], |row| row.get(0)).optional())
            .map_err(|error| self.failed("read a request", error))?;
        match taken {
            None => Ok(RequestStart::Withdrawn),
            Some(true) => Ok(RequestStart::Wanted),
            Some(false) if is_locked(&presence(&self.path, id)).unwrap_or(false) => Ok(RequestStart::Wanted),
            Some(false) => {
                self.answer_request(id, &Err(abandoned()), now)?;
                Ok(RequestStart::Abandoned)
            }
        }
    }

    /// Marks a request as started, so that it can't be withdrawn any more. It must not start unless
    /// the result is [`RequestStart::Wanted`].
    ///
    /// # Errors
    /// When the database can't be read or written.
    pub fn start_request(&mut self, id: RequestId, now: Timestamp) -> std::result::Result<RequestStart, StateError> {
        let may = self.may_start_request(id, now)?;
        if may != RequestStart::Wanted {
            return Ok(may);
        }
        let sql = "UPDATE requests SET taken_at = coalesce(taken_at, ?2) WHERE id = ?1";
        let marked = self.connection.prepare_cached(sql).and_then(|mut mark| mark.execute((id.get(), now.to_string())));
        let marked = marked.map_err(|error| self.failed("start a request", error))?;
        Ok(if marked > 0 { RequestStart::Wanted } else { RequestStart::Withdrawn })
    }

    /// Answers a request, and deletes old answered ones.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn answer_request(
        &mut self,
        id: RequestId,
        result: &std::result::Result<RequestDone, RequestProblem>,
        now: Timestamp,
    ) -> std::result::Result<(), StateError> {
        answer(&self.connection, id, result, now).map_err(|error| self.failed("answer a request", error))?;
        self.forget_client(id);
        Ok(())
    }

    /// Removes the file that shows that a client waits, which a killed one leaves behind.
    fn forget_client(&self, id: RequestId) {
        let _ = own_file::remove(&presence(&self.path, id)); // it says nothing about an answered request
    }

    /// Ends the requests that an earlier process left open. It is unknown whether a started one was
    /// carried out, and it never starts twice. The others waited for a process that has ended.
    /// Returns the number of requests.
    ///
    /// # Errors
    /// When the database can't be read or written.
    pub fn end_requests(&mut self, now: Timestamp) -> std::result::Result<usize, StateError> {
        let end = || -> Result<Vec<i64>> {
            let open: Vec<(i64, bool)> = {
                let mut all = self.connection.prepare_cached(
                    "SELECT id, taken_at IS NOT NULL FROM requests WHERE answered_at IS NULL ORDER BY id",
                )?;
                all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_>>()?
            };
            for (id, taken) in &open {
                answer(&self.connection, RequestId::new(*id), &Err(interrupted(*taken)), now)?;
            }
            Ok(open.into_iter().map(|(id, _)| id).collect())
        };
        let ended = end().map_err(|error| self.failed("end open requests", error))?;
        ended.iter().for_each(|id| self.forget_client(RequestId::new(*id)));
        Ok(ended.len())
    }
}

fn interrupted(begun: bool) -> RequestProblem {
    RequestProblem::new(
        ProblemKind::Interrupted,
        if begun {
            "the running `macadam sync` ended while it was doing this: interrupted, try again".to_owned()
        } else {
            "the running `macadam sync` ended before it started this: interrupted, try again".to_owned()
        },
        Some("`macadam status` shows what is known now".to_owned()),
    )
}

fn abandoned() -> RequestProblem {
    RequestProblem::new(
        ProblemKind::Interrupted,
        "the running `macadam sync` found that this command no longer waits for it".to_owned(),
        Some("nothing was done; run it again, as the user that `macadam sync` runs as".to_owned()),
    )
}

/// The file whose lock a client holds while it waits.
fn presence(state: &Path, id: RequestId) -> PathBuf {
    own_file::with_ending(state, &format!(".request-{}", id.get()))
}

fn answer(
    connection: &Connection,
    id: RequestId,
    result: &std::result::Result<RequestDone, RequestProblem>,
    now: Timestamp,
) -> Result<()> {
    let text = request_form::answer(result).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let sql = "UPDATE requests SET taken_at = coalesce(taken_at, ?2), answered_at = ?2, succeeded = ?3, answer = ?4
               WHERE id = ?1 AND answered_at IS NULL";
    connection.prepare_cached(sql)?.execute((id.get(), now.to_string(), result.is_ok(), text))?;
    let prune = "DELETE FROM requests WHERE id <= ?1 AND answered_at IS NOT NULL";
    connection.prepare_cached(prune)?.execute([id.get() - KEPT])?;
    Ok(())
}

/// The client's side, beside the process that holds the state: adds requests and reads answers, and
/// touches nothing else.
#[derive(Debug)]
pub(crate) struct RequestClient {
    connection: Connection,
    path: PathBuf,
    /// The requests that it waits for, each with the lock that shows it.
    waits: Vec<(RequestId, FileLock)>,
}

impl RequestClient {
    /// Opens the state of `remote` beside its writer.
    ///
    /// # Errors
    /// When there is none, it belongs to another remote or another version, or this user may not
    /// write it.
    pub(crate) fn open(path: &Path, remote: &str) -> std::result::Result<Self, StateError> {
        let fail = |error| StateError::from_sql(path, "open the database", error);
        // Never created or migrated here: that is up to the process that holds it.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let before = open::existing(path)
            .map_err(|error| StateError::OpenFile { path: path.to_owned(), source: std::sync::Arc::new(error) })?;
        let connection = open::connect(path, flags).map_err(fail)?;
        open::refuse_swapped(path, before)?;
        open::refuse_what_is_not_ours(&connection, path, remote)?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(fail)?;
        if found < schema::KNOWN {
            // Its holder is about to migrate it, or is an older version.
            return Err(StateError::Busy { path: path.to_owned() });
        }
        if connection.is_readonly("main").map_err(fail)? {
            return Err(StateError::ReadOnly { path: path.to_owned() });
        }
        Ok(Self { connection, path: path.to_owned(), waits: Vec::new() })
    }

    /// Adds a request. It is carried out only while this lives.
    ///
    /// # Errors
    /// When the database can't be written, or nothing can be locked beside it.
    pub(crate) fn ask(&mut self, request: &Request, now: Timestamp) -> std::result::Result<RequestId, StateError> {
        let fail = |error| StateError::from_sql(&self.path, "leave a request", error);
        let arguments = request_form::arguments(request)
            .map_err(|error| fail(rusqlite::Error::ToSqlConversionFailure(error.into())))?;
        let insert = "INSERT INTO requests (asked_at, command, arguments) VALUES (?1, ?2, ?3)";
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        transaction.execute(insert, (now.to_string(), request.command(), arguments)).map_err(fail)?;
        let id = RequestId::new(transaction.last_insert_rowid());
        // Locked before the service sees the row.
        let path = presence(&self.path, id);
        let lock = FileLock::acquire_new(&path)
            .map_err(|error| StateError::OpenFile { path, source: std::sync::Arc::new(error) })?;
        self.waits.push((id, lock));
        transaction.commit().map_err(fail)?;
        Ok(id)
    }

    /// Returns the progress of a request.
    ///
    /// # Errors
    /// When the database can't be read.
    pub(crate) fn progress(&self, id: RequestId) -> std::result::Result<RequestProgress, StateError> {
        let read = || -> Result<RequestProgress> {
            let mut one = self.connection.prepare_cached(
                "SELECT taken_at IS NOT NULL, answered_at IS NOT NULL, answer FROM requests WHERE id = ?1",
            )?;
            let found = one
                .query_row([id.get()], |row| {
                    let (taken, answered): (bool, bool) = (row.get(0)?, row.get(1)?);
                    if !answered {
                        return Ok(if taken { RequestProgress::Taken } else { RequestProgress::Waiting });
                    }
                    let answer = request_form::parse_answer(rows::text(row, 2)?);
                    answer.map(RequestProgress::Answered).map_err(|error| rows::wrong(2, error))
                })
                .optional()?;
            Ok(found.unwrap_or(RequestProgress::Gone))
        };
        read().map_err(|error| StateError::from_sql(&self.path, "read an answer", error))
    }

    /// Removes a request that was not started. Returns whether it did; if so, the request is
    /// certainly never carried out.
    ///
    /// # Errors
    /// When the database can't be written.
    pub(crate) fn withdraw(&mut self, id: RequestId) -> std::result::Result<bool, StateError> {
        let sql = "DELETE FROM requests WHERE id = ?1 AND taken_at IS NULL";
        let deleted = self.connection.execute(sql, [id.get()]);
        Ok(deleted.map_err(|error| StateError::from_sql(&self.path, "take a request back", error))? > 0)
    }
}

impl Drop for RequestClient {
    fn drop(&mut self) {
        for (id, lock) in self.waits.drain(..) {
            // First the name, so that the file of this name is locked as long as there is one.
            let _ = own_file::remove(&presence(&self.path, id));
            drop(lock);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn forget(name: &str) -> Request {
        Request::Archive { address: Address::new(name).unwrap(), together: Vec::new() }
    }

    fn service_and_client() -> (tempfile::TempDir, Store, RequestClient) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let store = Store::open(&path, "r", at(0)).unwrap();
        let client = RequestClient::open(&path, "r").unwrap();
        (folder, store, client)
    }

    /// Takes the next request, and starts it.
    fn take(store: &mut Store) -> Option<(RequestId, Request)> {
        let next = store.next_request(at(3)).unwrap()?;
        assert_eq!(store.start_request(next.0, at(3)).unwrap(), RequestStart::Wanted);
        Some(next)
    }

    #[test]
    fn requests_are_taken_in_order_once_and_answered() {
        let (_folder, mut store, mut client) = service_and_client();
        let (a, b) = (client.ask(&forget("a"), at(1)).unwrap(), client.ask(&forget("b"), at(2)).unwrap());
        assert_eq!(client.progress(a).unwrap(), RequestProgress::Waiting);
        assert_eq!(take(&mut store), Some((a, forget("a"))));
        assert_eq!(client.progress(a).unwrap(), RequestProgress::Taken);
        assert!(!client.withdraw(a).unwrap());
        assert_eq!(take(&mut store), Some((b, forget("b"))));
        assert_eq!(take(&mut store), None);
        let answer = Ok(RequestDone { revision: Some(1), ..RequestDone::default() });
        store.answer_request(a, &answer, at(4)).unwrap();
        assert_eq!(client.progress(a).unwrap(), RequestProgress::Answered(answer.clone()));
        // A second answer changes nothing.
        store.answer_request(a, &Ok(RequestDone::default()), at(5)).unwrap();
        assert_eq!(client.progress(a).unwrap(), RequestProgress::Answered(answer));
    }

    #[test]
    fn a_withdrawn_request_is_never_taken() {
        let (_folder, mut store, mut client) = service_and_client();
        let a = client.ask(&forget("a"), at(1)).unwrap();
        assert!(client.withdraw(a).unwrap());
        assert!(!client.withdraw(a).unwrap());
        assert_eq!((client.progress(a).unwrap(), take(&mut store)), (RequestProgress::Gone, None));
        assert_ne!(client.ask(&forget("a"), at(3)).unwrap(), a, "a number given twice");
    }

    #[test]
    fn a_request_can_be_withdrawn_until_it_starts() {
        let (_folder, mut store, mut client) = service_and_client();
        let a = client.ask(&forget("a"), at(1)).unwrap();
        assert_eq!(store.next_request(at(2)).unwrap(), Some((a, forget("a"))));
        assert_eq!(store.may_start_request(a, at(2)).unwrap(), RequestStart::Wanted);
        assert!(client.withdraw(a).unwrap());
        assert_eq!(store.may_start_request(a, at(3)).unwrap(), RequestStart::Withdrawn);
        assert_eq!(store.start_request(a, at(3)).unwrap(), RequestStart::Withdrawn);
    }

    #[test]
    fn a_request_whose_client_is_gone_never_starts() {
        let (folder, mut store, mut client) = service_and_client();
        let begun = client.ask(&forget("a"), at(1)).unwrap();
        let left = client.ask(&forget("b"), at(1)).unwrap();
        take(&mut store).unwrap();
        drop(client);
        let mut next = RequestClient::open(&folder.path().join("s.db"), "r").unwrap();
        let waits = next.ask(&forget("c"), at(2)).unwrap();
        assert_eq!(store.start_request(left, at(3)).unwrap(), RequestStart::Abandoned);
        let RequestProgress::Answered(Err(problem)) = next.progress(left).unwrap() else { panic!() };
        assert!(problem.message.contains("no longer waits") && problem.hint.is_some(), "{problem}");
        // One that has started goes on.
        assert_eq!(store.may_start_request(begun, at(3)).unwrap(), RequestStart::Wanted);
        assert_eq!(take(&mut store), Some((waits, forget("c"))));
    }

    /// Of several clients, one killed at any moment: its file stays, and its lock doesn't.
    #[test]
    fn the_file_of_a_killed_client_is_removed_with_its_request() {
        let (folder, mut store, mut client) = service_and_client();
        let a = client.ask(&forget("a"), at(1)).unwrap();
        let file = presence(&folder.path().join("s.db"), a);
        let lock = client.waits.pop().unwrap();
        assert!(file.exists());
        drop(lock);
        assert_eq!(store.start_request(a, at(3)).unwrap(), RequestStart::Abandoned);
        assert!(!file.exists());
    }

    #[test]
    fn open_requests_of_an_earlier_process_end_and_never_start_again() {
        let (_folder, mut store, mut client) = service_and_client();
        let (a, b) = (client.ask(&forget("a"), at(1)).unwrap(), client.ask(&forget("b"), at(1)).unwrap());
        take(&mut store).unwrap();
        assert_eq!(store.end_requests(at(3)).unwrap(), 2);
        for (id, part) in [(a, "while it was doing"), (b, "before it started")] {
            let RequestProgress::Answered(Err(problem)) = client.progress(id).unwrap() else { panic!("{id}") };
            assert_eq!(problem.kind, ProblemKind::Interrupted);
            assert!(problem.message.contains(part) && problem.message.contains("interrupted, try again"), "{problem}");
        }
        assert_eq!((take(&mut store), store.end_requests(at(4)).unwrap()), (None, 0));
    }

    #[test]
    fn an_unknown_request_is_answered_and_the_next_one_taken() {
        let (_folder, mut store, mut client) = service_and_client();
        let insert = "INSERT INTO requests (asked_at, command, arguments) VALUES ('x', 'dance', '{}')";
        client.connection.execute(insert, []).unwrap();
        let strange = RequestId::new(client.connection.last_insert_rowid());
        let a = client.ask(&forget("a"), at(1)).unwrap();
        assert_eq!(take(&mut store), Some((a, forget("a"))));
        let RequestProgress::Answered(Err(problem)) = client.progress(strange).unwrap() else { panic!() };
        assert!(problem.message.contains("`dance`") && problem.hint.is_some(), "{problem}");
    }

    #[test]
    fn old_answers_are_dropped_and_open_requests_are_not() {
        let (_folder, mut store, mut client) = service_and_client();
        let open = client.ask(&forget("open"), at(1)).unwrap();
        take(&mut store).unwrap();
        for _ in 0..KEPT + 20 {
            let id = client.ask(&forget("a"), at(1)).unwrap();
            take(&mut store).unwrap();
            store.answer_request(id, &Ok(RequestDone::default()), at(1)).unwrap();
        }
        let count = |sql: &str| client.connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM requests WHERE answered_at IS NOT NULL"), KEPT);
        assert_eq!(client.progress(open).unwrap(), RequestProgress::Taken);
    }

    #[test]
    fn a_client_opens_only_this_remotes_state() {
        let (folder, _store, _client) = service_and_client();
        let path = folder.path().join("s.db");
        assert!(matches!(RequestClient::open(&path, "other"), Err(StateError::OtherRemote { .. })));
        assert!(RequestClient::open(&folder.path().join("none.db"), "r").is_err());
        assert!(!folder.path().join("none.db").exists());
    }
}
