//! Tests of the notifier with a real socket, and of the watchdog as a function.

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_watchdog_pings_only_with_recent_progress() {
    let watchdog = Watchdog::new(s(120), s(300));
    assert_eq!((watchdog.interval(), watchdog.next(s(1000))), (s(60), s(1060)));
    for (age, beats) in [(0, true), (60, true), (300, true), (301, false), (1_000_000, false)] {
        assert_eq!(watchdog.beat(s(age)), beats, "{age}");
    }
}

/// Plays a loop on an artificial clock that wakes as [`Watchdog`] asks, and makes no progress after
/// `stuck`. Returns when systemd would kill it.
fn killed_at(watchdog: Watchdog, interval: Duration, stuck: Duration) -> Option<Duration> {
    let (mut now, mut beaten) = (s(0), s(0));
    while now < s(10_000) {
        let progress = now.min(stuck);
        if watchdog.beat(now - progress) {
            beaten = now;
        }
        if now - beaten > interval {
            return Some(beaten + interval);
        }
        now = watchdog.next(now);
    }
    None
}

#[test]
fn a_loop_that_spins_without_progress_is_ended_and_an_idle_one_lives() {
    let watchdog = Watchdog::new(s(120), s(300));
    assert_eq!(killed_at(watchdog, s(120), s(600)), Some(s(600 + 300 + 120)));
    assert_eq!(killed_at(watchdog, s(120), s(10_000)), None);
}

#[test]
fn a_watchdog_meant_for_another_process_is_ignored() {
    let read =
        |microseconds: Option<&str>, of: Option<&str>| watchdog(microseconds.map(OsStr::new), of.map(OsStr::new), 42);
    for (microseconds, of, expected) in [
        (Some("120000000"), Some("42"), Some(s(120))),
        (Some("120000000"), None, Some(s(120))),
        (Some("120000000"), Some("41"), None),
        (Some("120000000"), Some("x"), None),
        (Some("0"), Some("42"), None),
        (Some("soon"), Some("42"), None),
        (None, Some("42"), None),
    ] {
        assert_eq!(read(microseconds, of), expected, "{microseconds:?} {of:?}");
    }
}

#[test]
fn without_systemd_nothing_happens() {
    for socket in [None, Some(OsString::new())] {
        let notifier = Notifier::new(|name| if name == SOCKET { socket.clone() } else { Some("5".into()) }, 5).unwrap();
        assert!(!notifier.is_connected());
        // Without a socket there is no watchdog, whatever the other variables say.
        assert_eq!((notifier.watchdog_interval(), notifier.watchdog(s(1))), (None, None));
        notifier.ready().unwrap();
        notifier.status("x").unwrap();
        notifier.reloading().unwrap();
        notifier.stopping().unwrap();
        notifier.notify_watchdog().unwrap();
    }
}

#[cfg(unix)]
mod with_a_socket {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn notifier(address: &str) -> io::Result<Notifier> {
        let variable = |name: &str| match name {
            SOCKET => Some(address.into()),
            WATCHDOG => Some("30000000".into()),
            WATCHDOG_PID => Some("7".into()),
            _ => None,
        };
        Notifier::new(variable, 7)
    }

    fn received(systemd: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        let length = systemd.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn check(address: &str, systemd: &UnixDatagram) {
        let notifier = notifier(address).unwrap();
        assert_eq!(notifier.watchdog_interval(), Some(s(30)));
        assert_eq!(notifier.watchdog(s(60)).map(|watchdog| watchdog.interval()), Some(s(15)));
        notifier.ready().unwrap();
        assert_eq!(received(systemd), "READY=1");
        notifier.status("watching 3 files\nREADY=1").unwrap();
        assert_eq!(received(systemd), "STATUS=watching 3 files READY=1", "a text can't make a second line");
        notifier.status(&"é".repeat(5000)).unwrap();
        assert_eq!(received(systemd), format!("STATUS={}", "é".repeat(MAX_STATUS)));
        notifier.reloading().unwrap();
        let reloading = received(systemd);
        let time = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{reloading}"));
        assert!(time.parse::<u64>().is_ok_and(|time| time > 0), "{reloading}");
        notifier.notify_watchdog().unwrap();
        assert_eq!(received(systemd), "WATCHDOG=1");
        notifier.stopping().unwrap();
        assert_eq!(received(systemd), "STOPPING=1");
    }

    #[test]
    fn messages_reach_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        check(path.to_str().unwrap(), &systemd);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn messages_reach_an_abstract_name() {
        use std::os::linux::net::SocketAddrExt as _;
        let name = format!("macadam-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let systemd = UnixDatagram::bind_addr(&address).unwrap();
        check(&format!("@{name}"), &systemd);
    }

    #[test]
    fn a_replaced_systemd_is_reached_and_a_missing_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let first = UnixDatagram::bind(&path).unwrap();
        let notifier = notifier(path.to_str().unwrap()).unwrap();
        notifier.ready().unwrap();
        drop(first);
        std::fs::remove_file(&path).unwrap();
        assert!(notifier.notify_watchdog().is_err());
        let second = UnixDatagram::bind(&path).unwrap();
        notifier.notify_watchdog().unwrap();
        assert_eq!(received(&second), "WATCHDOG=1");
    }

    #[test]
    fn an_address_of_another_kind_is_refused() {
        for address in ["vsock:2:1234", "run/notify", "@"] {
            assert!(notifier(address).is_err(), "{address}");
        }
    }
}

#[test]
fn every_variable_that_is_read_is_hidden_from_children() {
    let read = std::cell::RefCell::new(Vec::new());
    let nothing = |name: &str| {
        read.borrow_mut().push(name.to_owned());
        None
    };
    Notifier::new(nothing, 7).unwrap();
    let (mut read, mut kept) = (read.into_inner(), NOT_FOR_CHILDREN.map(str::to_owned).to_vec());
    read.sort();
    kept.sort();
    assert_eq!(read, kept);
}
