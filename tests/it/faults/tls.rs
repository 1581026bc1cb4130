//! TLS: a remote that can't prove its identity gets nothing.
//!
//! The certificates are made here, of an authority that the program trusts by an option, so that
//! only the fault of the case is wrong with them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::{Trial, side_by_side};

/// A gateway before the emulator that speaks TLS, with a certificate that can be renewed.
struct Gateway {
    address: SocketAddr,
    acceptor: Arc<Mutex<TlsAcceptor>>,
    /// Connections that the other side broke off over the certificate.
    refused: Arc<AtomicU64>,
    _runtime: tokio::runtime::Runtime,
}

impl Gateway {
    fn before(remote: &str, acceptor: TlsAcceptor) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, refused) = (Arc::new(Mutex::new(acceptor)), Arc::new(AtomicU64::new(0)));
        let behind = remote.strip_prefix("http://").unwrap().to_owned();
        let (current, count) = (Arc::clone(&acceptor), Arc::clone(&refused));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, count, behind) = (current.lock().unwrap().clone(), Arc::clone(&count), behind.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        count.fetch_add(1, Ordering::SeqCst);
                        return;
                    };
                    let mut behind = TcpStream::connect(behind).await.unwrap();
                    // Either side may end a connection in its own way.
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
                });
            }
        });
        Self { address, acceptor, refused, _runtime: runtime }
    }
}

/// A certificate authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// The configuration of a server with a certificate for `name`, valid from the beginning of one
    /// year to the beginning of another.
    fn certify(&self, name: &str, from: i32, to: i32) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).unwrap()).into()
    }
}

#[test]
fn nothing_is_sent_to_a_remote_with_a_bad_certificate() {
    type Show = fn(&Authority) -> TlsAcceptor;
    let cases: [(&str, (Show, &str)); 4] = [
        ("expired", (|known| known.certify("localhost", 2001, 2002), "isn't valid at this machine's time")),
        ("not yet valid", (|known| known.certify("localhost", 3001, 3002), "isn't valid at this machine's time")),
        ("another name", (|known| known.certify("elsewhere.example", 2001, 3001), "not valid for name")),
        ("unknown", (|_| Authority::new("unknown").certify("localhost", 2001, 3001), "UnknownIssuer")),
    ];
    side_by_side(&cases, |(show, wanted)| {
        let mut trial = Trial::new();
        let authority = Authority::new("known");
        let gateway = Gateway::before(&trial.remote.url(), show(&authority));
        trial.project.write("authority.pem", &authority.pem);
        trial.project.set_env("SSL_CERT_FILE", trial.project.file("authority.pem"));
        trial.project = trial.project.at(&format!("https://localhost:{}", gateway.address.port()));

        let is_of_the_clock = wanted.contains("machine's time");
        // Nothing but a person sets the clock, so the run ends long before its time.
        let document = trial.document(if is_of_the_clock { 3_000 } else { 3 }, 1);
        for address in ["sword", "ui/a.png", "ui/b.png"] {
            let outcome = Trial::outcome(&document, address);
            let is_untried = outcome == "waiting" || (is_of_the_clock && outcome == "not_begun");
            assert!(is_untried, "never sent, so never in doubt: {document:#}");
        }
        if is_of_the_clock {
            let hint = document["errors"][0]["hint"].as_str().unwrap();
            assert!(hint.contains("timedatectl set-ntp true"), "{document:#}");
            let (code, checkup) = trial.project.json(&["doctor"]);
            let clock = checkup["checks"].as_array().unwrap().iter().find(|check| check["check"] == "clock").unwrap();
            assert_eq!((code, &clock["result"]), (1, &"error".into()), "{checkup:#}");
            assert!(clock["message"].as_str().unwrap().contains(wanted), "{checkup:#}");
        }
        assert!(document.to_string().contains(wanted), "{wanted}: {document:#}");
        assert!(gateway.refused.load(Ordering::SeqCst) > 0, "never fired");
        assert_eq!(trial.remote.all_requests(), 0);
        assert_eq!(trial.events("in_doubt"), 0);

        *gateway.acceptor.lock().unwrap() = authority.certify("localhost", 2001, 3001);
        trial.settle();
        assert_eq!(trial.remote.assets().len(), 3);
    });
}
