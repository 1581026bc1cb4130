//! A TCP relay in front of the remote, which records when the first bytes of a write arrive. The
//! emulator's log has times too, but only to the millisecond.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

/// A write whose first bytes arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it arrived.
    pub at: Instant,
    /// The kind of write.
    pub write: Write,
}

/// The two writes that a saved file causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// A new asset.
    Create,
    /// New content of an asset.
    Update,
}

impl Write {
    /// Returns the write whose request begins with these bytes. Each request begins with a read of
    /// its own: the client sends none before the response to the previous one.
    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            _ if bytes.starts_with(b"POST /assets/v1/assets ") => Some(Self::Create),
            _ if bytes.starts_with(b"PATCH /assets/v1/assets/") => Some(Self::Update),
            _ => None,
        }
    }
}

/// A relay, which runs until the process ends.
pub struct Relay {
    address: SocketAddr,
    arrivals: Receiver<Arrival>,
}

impl Relay {
    /// Starts a relay in front of `target`, on a free port.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (send, arrivals) = channel();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                relay(client, target, send.clone());
            }
        });
        Self { address, arrivals }
    }

    /// Returns the URL that clients use for the remote.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the writes in the order of arrival.
    pub const fn arrivals(&self) -> &Receiver<Arrival> {
        &self.arrivals
    }
}

fn relay(client: TcpStream, target: SocketAddr, arrivals: Sender<Arrival>) {
    let server = TcpStream::connect(target).expect("the emulator listens");
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("a TCP option");
    }
    let clone = |stream: &TcpStream| stream.try_clone().expect("a descriptor");
    let (from_server, to_client) = (clone(&server), clone(&client));
    thread::spawn(move || {
        copy(client, server, |bytes, at| {
            if let Some(write) = Write::of(bytes) {
                let _ = arrivals.send(Arrival { at, write }); // the measuring may be over
            }
        });
    });
    thread::spawn(move || copy(from_server, to_client, |_, _| {}));
}

/// Copies until either end is closed.
fn copy(mut from: TcpStream, mut to: TcpStream, mut note: impl FnMut(&[u8], Instant)) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer);
        let at = Instant::now();
        let bytes = match read {
            Ok(length) if length > 0 => &buffer[..length],
            _ => break,
        };
        note(bytes, at);
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write); // it may be closed already
}
