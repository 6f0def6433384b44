//! Proxies between the client and the API server: HTTP's CONNECT, also over TLS, and SOCKS5.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc::channel},
    thread,
};

use serde_json::{Value, json};
use testbed::{
    Namespace, Wait,
    front::{Front, Reply},
    objects::{complete_job, create_suspended_job},
    scene::{changed, reader, succeeds, wait, wait_with},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
};

use crate::blocked::ends_at_once;

#[derive(Clone)]
enum Speech {
    Http,
    Https(TlsAcceptor),
    Socks,
    /// no proxy, but TLS before this server
    Tls(TlsAcceptor, String),
}

/// A proxy, and whom it was asked for, with which credentials. It ends with the program.
struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start(speech: Speech) -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&asked);
        let (sender, address) = channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
                sender.send(listener.local_addr().expect("a listener has an address")).expect("somebody waits");
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(serve(client, speech.clone(), Arc::clone(&log)));
                }
            });
        });
        Self { address: address.recv().expect("the proxy starts"), asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An error is one side's end.
async fn serve(client: TcpStream, speech: Speech, log: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    match speech {
        Speech::Http => connect(client, &log).await,
        Speech::Https(acceptor) => connect(acceptor.accept(client).await?, &log).await,
        Speech::Socks => socks(client, &log).await,
        Speech::Tls(acceptor, server) => {
            let mut client = acceptor.accept(client).await?;
            let mut upstream = TcpStream::connect(server).await?;
            copy_bidirectional(&mut client, &mut upstream).await.map(drop)
        }
    }
}

fn note(log: &Mutex<Vec<String>>, text: String) {
    log.lock().unwrap_or_else(PoisonError::into_inner).push(text);
}

async fn connect(mut client: impl AsyncRead + AsyncWrite + Unpin, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let server = head.split(' ').nth(1).unwrap_or_default().to_owned();
    note(log, head);
    if server.starts_with("10.0.0.1:") {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
    }
    let mut upstream = TcpStream::connect(&server).await?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    copy_bidirectional(&mut client, &mut upstream).await.map(drop)
}

/// Version 5, user and password (RFC 1928 and 1929), an IPv4 address.
async fn socks(mut client: TcpStream, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let methods = client.read_u16().await? & 0xff;
    client.read_exact(&mut vec![0; usize::from(methods)]).await?;
    client.write_all(&[5, 2]).await?;
    client.read_u8().await?;
    let mut words = Vec::new();
    for _ in 0..2 {
        let mut word = vec![0; usize::from(client.read_u8().await?)];
        client.read_exact(&mut word).await?;
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
    client.write_all(&[1, 0]).await?;
    let mut request = [0; 10];
    client.read_exact(&mut request).await?;
    let [5, 1, 0, 1, a, b, c, d, high, low] = request else { return Ok(()) };
    let server = SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low])));
    note(log, format!("{server} {}", words.join(":")));
    let mut upstream = TcpStream::connect(server).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut client, &mut upstream).await.map(drop)
}

pub fn environment_names_the_proxy(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let kubeconfig = reader(namespace);
    let proxy = Proxy::start(Speech::Http);
    let url = format!("http://user:pass@{}", proxy.address);
    for spared in ["10.96.0.1", "10.96.0.0/16,", "*", "example.com, 10.96.0.1:443"] {
        succeeds(wait_with(&kubeconfig, "job migrate", &[("HTTPS_PROXY", &url), ("NO_PROXY", spared)]));
        assert!(proxy.asked().is_empty(), "NO_PROXY={spared}");
    }
    succeeds(wait_with(&kubeconfig, "job migrate", &[("https_proxy", &url), ("NO_PROXY", "10.97.0.0/16,,")]));
    let asked = proxy.asked().pop().expect("the proxy was asked");
    assert!(asked.starts_with("CONNECT 10.96.0.1:443 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"), "{asked}");
}

pub fn kubeconfig_names_the_proxy(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let kubeconfig = reader(namespace);
    let acceptor = tls(namespace.cluster().credentials());
    for (scheme, speech) in [("http", Speech::Http), ("https", Speech::Https(acceptor)), ("socks5", Speech::Socks)] {
        let proxy = Proxy::start(speech);
        let url = format!("{scheme}://user:pass@{}", proxy.address);
        let kubeconfig = changed(&kubeconfig, scheme, |cluster, _| cluster["proxy-url"] = url.into());
        // It counts more than the environment, and NO_PROXY is not for it.
        succeeds(wait_with(&kubeconfig, "job migrate", &[("HTTPS_PROXY", "http://127.0.0.1:1"), ("NO_PROXY", "*")]));
        let asked = proxy.asked().pop().expect("the proxy was asked");
        assert!(asked.contains("10.96.0.1:443") && (scheme != "socks5" || asked.ends_with(" user:pass")), "{asked}");
    }
}

/// The certificate is the API server's, which is good for the loopback address too.
fn tls(folder: &Path) -> TlsAcceptor {
    let config = ServerConfig::builder().with_no_client_auth();
    let (certificates, key) = identity(folder);
    TlsAcceptor::from(Arc::new(config.with_single_cert(certificates, key).expect("they belong together")))
}

fn identity(folder: &Path) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let key = PrivateKeyDer::from_pem_slice(&read(folder, "apiserver.key")).expect("a key");
    (certificates(folder, "apiserver.crt"), key)
}

fn read(folder: &Path, file: &str) -> Vec<u8> {
    fs::read(folder.join(file)).expect("the testbed's certificates are readable")
}

fn certificates(folder: &Path, file: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(&read(folder, file)).map(|it| it.expect("a certificate")).collect()
}

/// TLS that takes only clients of the cluster's own authority, and then a server without.
pub fn certificate_replaced_after_a_failed_handshake_is_used(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let folder = namespace.cluster().credentials();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(folder, "ca.crt"));
    let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build().expect("authorities");
    let (chain, key) = identity(folder);
    let config = ServerConfig::builder().with_client_cert_verifier(clients).with_single_cert(chain, key);
    let acceptor = TlsAcceptor::from(Arc::new(config.expect("they belong together")));
    let front = Front::start(namespace.cluster(), |_| Reply::Pass);
    let server = Proxy::start(Speech::Tls(acceptor, front.url().trim_start_matches("http://").to_owned()));
    let kubeconfig = reader(namespace);
    let (certificate, key) = (kubeconfig.with_extension("my.crt"), kubeconfig.with_extension("my.key"));
    let use_those_of = |name: &str| {
        fs::write(&key, read(folder, &format!("{name}.key"))).expect("the folder takes files");
        fs::write(&certificate, read(folder, &format!("{name}.crt"))).expect("the folder takes files");
    };
    use_those_of("stranger");
    let kubeconfig = changed(&kubeconfig, "certificate", |cluster, user| {
        cluster["server"] = format!("https://{}", server.address).into();
        *user = json!({"client-certificate": certificate, "client-key": key});
    });
    let waiting = wait(&kubeconfig, "job migrate");
    waiting.line("rejected the client certificate");
    use_those_of("client");
    succeeds(waiting);
}

/// Nothing in it but the static binary and a kubeconfig: no authorities, no names, no proc, no tmp.
pub fn empty_root_serves_without_certificates(namespace: &Namespace) {
    create_suspended_job(namespace, "migrate");
    complete_job(namespace, "migrate");
    let kubeconfig = reader(namespace);
    let root = kubeconfig.with_extension("root");
    fs::create_dir(&root).expect("the folder takes folders");
    let program = testbed::product::ready().expect("the static binary");
    fs::copy(program, root.join("k8s-wait-for")).expect("the folder takes files");
    let front = Front::start(namespace.cluster(), |_| Reply::Pass);
    let authority = namespace.cluster().credentials().join("ca.crt");
    let data = |kubeconfig: &Path, change: &dyn Fn(&mut Value)| {
        let changed = changed(kubeconfig, "root", |cluster, _| {
            cluster.as_object_mut().expect("a cluster").remove("certificate-authority");
            change(cluster);
        });
        fs::copy(changed, root.join("config")).expect("the folder takes files");
    };
    let run = |code: i32, text: &str| {
        let words =
            ["chroot", root.to_str().expect("UTF-8"), "/k8s-wait-for", "job", "migrate", "--kubeconfig", "/config"];
        let none: [(&'static str, &str); 0] = [];
        let finished = Wait::start(words[0], &words[1..], none).finish();
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        assert!(finished.output().contains(text), "{text}: {finished:#?}");
    };
    data(&kubeconfig, &|cluster| cluster["server"] = front.url().into());
    run(0, "done after");
    data(&kubeconfig, &|cluster| cluster["insecure-skip-tls-verify"] = true.into());
    run(0, "done after");
    fs::copy(authority, root.join("ca.crt")).expect("the folder takes files");
    data(&kubeconfig, &|cluster| cluster["certificate-authority"] = "ca.crt".into());
    run(0, "done after");
    data(&kubeconfig, &|_| {});
    run(78, "SSL_CERT_FILE");
}

pub fn proxy_that_refuses_is_named(namespace: &Namespace) {
    let kubeconfig = reader(namespace);
    let waiting = wait_with(&kubeconfig, "job migrate", &[("HTTPS_PROXY", "http://jane:secret@127.0.0.1:1")]);
    waiting.line("cannot reach the proxy http://127.0.0.1:1 (HTTPS_PROXY): connection refused");
    let dead = changed(&kubeconfig, "dead", |cluster, _| cluster["proxy-url"] = "socks5://127.0.0.1:1".into());
    wait(&dead, "job migrate").line("cannot reach the proxy socks5://127.0.0.1:1 (proxy-url of cluster testbed)");
    let proxy = Proxy::start(Speech::Http);
    let kubeconfig = changed(&kubeconfig, "refused", |cluster, _| {
        cluster["server"] = "https://10.0.0.1".into();
        cluster["proxy-url"] = format!("http://{}", proxy.address).into();
    });
    let waiting = wait(&kubeconfig, "job migrate");
    let proxy = format!("the proxy http://{} (proxy-url of cluster testbed)", proxy.address);
    waiting.line(&format!("{proxy} does not connect to https://10.0.0.1 (context test): "));
    for wrong in ["socks4://127.0.0.1:1", "ftp://127.0.0.1", "http://"] {
        let kubeconfig = changed(&kubeconfig, "wrong", |cluster, _| cluster["proxy-url"] = wrong.into());
        let finished = ends_at_once(&kubeconfig, 78);
        assert!(finished.stderr.contains("proxy") && finished.stderr.contains("hint: "), "{wrong}: {finished:#?}");
    }
}
