//! Kubeconfigs as people have them: kubectl and the built binary are run on each, side by side, and what differs says
//! why. The Job `migrate` is complete in the test's own namespace and nowhere else, so an exit 0 is the right cluster,
//! namespace and user.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use testbed::{
    Namespace,
    enter::API_ADDRESS,
    front::{Front, Reply},
    objects::{complete_job, create_suspended_job},
    scene::{JOBS, exec_credential, plugin, program, write_script},
};

/// What a program makes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ours {
    Works,
    /// exit code, and what it says
    Ends(i32, &'static str),
}

/// Changes the cluster, the user and the context.
type Change = dyn Fn(&mut Value, &mut Value, &mut Value);

struct Case {
    name: &'static str,
    change: Box<Change>,
    kubectl_works: bool,
    ours: Ours,
    /// where the two differ
    why: &'static str,
}

fn case(
    name: &'static str,
    kubectl_works: bool,
    ours: Ours,
    why: &'static str,
    change: impl Fn(&mut Value, &mut Value, &mut Value) + 'static,
) -> Case {
    Case { name, change: Box::new(change), kubectl_works, ours, why }
}

fn merge(value: &mut Value, more: Value) {
    let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) else { panic!("objects are merged") };
    value.extend(more);
}

fn read(namespace: &Namespace, file: &str) -> String {
    let path = namespace.cluster().credentials().join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cluster's CA is given by data, the user's token too; each case changes something.
#[expect(clippy::too_many_lines, reason = "a table")]
fn cases(namespace: &Namespace, folder: &Path) -> Vec<Case> {
    use Ours::{Ends, Works};
    let token = namespace.token_for("waiter");
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("the folder takes files");
        path.to_string_lossy().into_owned()
    };
    let (certificate, key) = (read(namespace, "client.crt"), read(namespace, "client.key"));
    let (certificate, key) = (file("my.crt", &certificate), file("my.key", &key));
    let front = Front::start(namespace.cluster(), |_| Reply::Pass);
    let plain = front.url().trim_start_matches("http://").to_owned();
    let also_plain = plain.clone();
    let (authority, no_pem) = (file("my-ca.crt", &read(namespace, "ca.crt")), file("no.pem", "no certificate"));
    let token_file = file("token", &format!("{token}\n"));
    let broken_token = format!("{}\n{}", &token[..20], &token[20..]);
    let with_line_end = format!("{token}\n");
    let in_url = format!("https://jane:secret@{API_ADDRESS}:443");
    let credential = exec_credential(&json!({"token": token}));
    let script = |name: &str, text: &str| {
        write_script(&folder.join(name), text);
        folder.join(name).to_string_lossy().into_owned()
    };
    let gives = script("gives", &format!("echo please wait >&2; echo '{credential}'"));
    let leaves = script("leaves", &format!("echo '{credential}'; sleep 300 &"));
    let fails = script("fails", "echo please run: login >&2; exit 3");
    let says_nothing = script("says-nothing", "true");
    let no_data = |cluster: &mut Value| {
        cluster.as_object_mut().expect("a cluster").remove("certificate-authority-data");
    };
    let set = |key: &'static str, value: Value| {
        move |cluster: &mut Value, _: &mut Value, _: &mut Value| cluster[key] = value.clone()
    };
    let user = |value: Value| move |_: &mut Value, user: &mut Value, _: &mut Value| *user = value.clone();
    let context = |more: Value| move |_: &mut Value, _: &mut Value, context: &mut Value| merge(context, more.clone());
    let server = |server: &'static str| set("server", server.into());
    vec![
        case("as it is", true, Works, "", |_, _, _| {}),
        case("namespace: ''", false, Ends(77, "in namespace default"), "", context(json!({"namespace": ""}))),
        case("no namespace", false, Ends(77, "in namespace default"), "", |_, _, context| {
            context.as_object_mut().expect("a context").remove("namespace");
        }),
        case(
            "namespace: Bad Ns",
            false,
            Ends(78, "`Bad Ns` is not a valid namespace name"),
            "",
            context(json!({"namespace": "Bad Ns"})),
        ),
        case(
            "server: HOST:PORT is plain HTTP, and no server of HTTPS",
            false,
            Ends(124, ""),
            "",
            server("10.96.0.1:443"),
        ),
        case("server: HOST:PORT of a kubectl proxy", true, Works, "", set("server", plain.into())),
        case("server: http:// of a kubectl proxy, without credentials", true, Works, "", {
            move |cluster, user, _| {
                cluster["server"] = format!("http://{also_plain}").into();
                *user = json!({});
            }
        }),
        case("server: HOST", false, Ends(124, "refused"), "", server("10.96.0.1")),
        case("server with a path of /", true, Works, "", server("https://10.96.0.1:443/")),
        case("port 99999", false, Ends(78, "an invalid port `99999`"), "", server("https://10.96.0.1:99999")),
        case("port abc", false, Ends(78, "an invalid port `abc`"), "", server("https://10.96.0.1:abc")),
        case("ftp://", false, Ends(78, "an invalid scheme `ftp`"), "", server("ftp://10.96.0.1")),
        case("no server", false, Ends(78, "it has no `server`"), "", server("")),
        case(
            "a password in the URL comes before a token",
            false,
            Ends(77, "system:anonymous"),
            "",
            set("server", in_url.into()),
        ),
        case(
            "a token with a line end",
            false,
            Works,
            "what surrounds a token is not meant",
            user(json!({"token": with_line_end})),
        ),
        case(
            "a token with a line end in it",
            false,
            Ends(78, "not a single line of text"),
            "",
            user(json!({"token": broken_token})),
        ),
        case("no credentials", false, Ends(78, "there are no credentials"), "", user(json!({}))),
        case("an empty token", false, Ends(78, "there are no credentials"), "", user(json!({"token": ""}))),
        case(
            "name and password",
            false,
            Ends(77, "system:anonymous"),
            "",
            user(json!({"username": "jane", "password": "x"})),
        ),
        case(
            "token and password",
            false,
            Ends(78, "both a token and a password"),
            "",
            user(json!({"token": "t", "username": "jane"})),
        ),
        case(
            "a wrong token",
            false,
            Ends(77, "the token is not accepted (expired?); user test of context test"),
            "",
            user(json!({"token": "wrong"})),
        ),
        case("a token file", true, Works, "", user(json!({"tokenFile": token_file}))),
        case("a token file beside the kubeconfig", true, Works, "", user(json!({"tokenFile": "token"}))),
        case(
            "a token file that is missing",
            false,
            Ends(78, "/nonexistent/token"),
            "",
            user(json!({"tokenFile": "/nonexistent/token"})),
        ),
        case(
            "a certificate in files",
            true,
            Works,
            "",
            user(json!({"client-certificate": certificate, "client-key": key})),
        ),
        case(
            "a certificate beside the kubeconfig",
            true,
            Works,
            "",
            user(json!({"client-certificate": "my.crt", "client-key": "my.key"})),
        ),
        case(
            "a certificate without its key",
            false,
            Ends(78, "needs a `client-key`"),
            "",
            user(json!({"client-certificate": certificate})),
        ),
        case(
            "a certificate that is missing",
            false,
            Ends(78, "/nonexistent/my.crt"),
            "",
            user(json!({"client-certificate": "/nonexistent/my.crt", "client-key": key})),
        ),
        case(
            "a certificate that is none",
            false,
            Ends(78, ""),
            "",
            user(json!({"client-certificate": no_pem, "client-key": key})),
        ),
        case(
            "a CA that is no PEM",
            false,
            Ends(78, "contains no PEM certificate"),
            "",
            set("certificate-authority-data", "bm8gY2VydGlmaWNhdGU=".into()),
        ),
        case("a CA file", true, Works, "", {
            let authority = authority.clone();
            move |cluster, _, _| {
                no_data(cluster);
                cluster["certificate-authority"] = authority.clone().into();
            }
        }),
        case("a CA file that is no PEM", false, Ends(78, "contains no PEM certificate"), "", move |cluster, _, _| {
            no_data(cluster);
            cluster["certificate-authority"] = "no.pem".into();
        }),
        case("a CA file that is missing", false, Ends(78, "/nonexistent/ca.crt"), "", move |cluster, _, _| {
            no_data(cluster);
            cluster["certificate-authority"] = "/nonexistent/ca.crt".into();
        }),
        case(
            "a CA file and data",
            false,
            Ends(78, "both `certificate-authority`"),
            "",
            set("certificate-authority", authority.into()),
        ),
        case(
            "no CA: those of the machine do",
            false,
            Ends(124, "is not signed by any CA that this system trusts"),
            "",
            move |cluster, _, _| {
                no_data(cluster);
            },
        ),
        case(
            "another CA",
            false,
            Ends(124, "the certificate of https://10.96.0.1:443 (context test) is not signed by the kubeconfig's CA"),
            "",
            set("certificate-authority-data", base64(read(namespace, "stranger.crt").as_bytes()).into()),
        ),
        case("insecure-skip-tls-verify", true, Works, "", move |cluster, _, _| {
            no_data(cluster);
            cluster["insecure-skip-tls-verify"] = true.into();
        }),
        case(
            "insecure-skip-tls-verify and a CA",
            false,
            Ends(78, "a certificate authority conflict"),
            "",
            set("insecure-skip-tls-verify", true.into()),
        ),
        case("tls-server-name", true, Works, "", set("tls-server-name", "localhost".into())),
        case(
            "a tls-server-name that is not in the certificate",
            false,
            Ends(124, "10.96.0.2, 127.0.0.1, not for example.com"),
            "",
            set("tls-server-name", "example.com".into()),
        ),
        case(
            "a proxy that is none",
            false,
            Ends(78, "cannot use the proxy's address"),
            "",
            set("proxy-url", "ftp://localhost".into()),
        ),
        case("a proxy-url that is empty", true, Works, "", set("proxy-url", "".into())),
        case("a context without a user", false, Ends(78, "names no user"), "", context(json!({"user": ""}))),
        case("a user that is not there", false, Ends(78, "which does not exist"), "", context(json!({"user": "x"}))),
        case(
            "a cluster that is not there",
            false,
            Ends(78, "which does not exist"),
            "",
            context(json!({"cluster": "x"})),
        ),
        case(
            "an auth-provider of old",
            false,
            Ends(78, "was removed in Kubernetes 1.26"),
            "",
            user(json!({"auth-provider": {"name": "gcp"}})),
        ),
        case("an exec plugin", true, Works, "", user(plugin(&gives, "Never"))),
        case("an exec plugin beside the kubeconfig", true, Works, "", user(plugin("./gives", "Never"))),
        case(
            "an exec plugin that leaves something running",
            false,
            Works,
            "kubectl waits for whoever holds the plugin's output",
            user(plugin(&leaves, "Never")),
        ),
        case("an exec plugin that fails", false, Ends(78, "please run: login"), "", user(plugin(&fails, "Never"))),
        case(
            "an exec plugin that says nothing",
            false,
            Ends(78, "is not of kind ExecCredential"),
            "",
            user(plugin(&says_nothing, "Never")),
        ),
        case(
            "an exec plugin that is missing",
            false,
            Ends(78, "hint: install it from the shop"),
            "",
            user(plugin("/nonexistent/plugin", "Never")),
        ),
        case(
            "an exec plugin beside a token",
            true,
            Works,
            "",
            user({
                let mut both = plugin(&fails, "Never");
                both["token"] = token.into();
                both
            }),
        ),
    ]
}

struct Scene<'a> {
    namespace: &'a Namespace<'a>,
    kubeconfig: Value,
    folder: PathBuf,
}

impl<'a> Scene<'a> {
    fn new(namespace: &'a Namespace<'a>) -> Self {
        create_suspended_job(namespace, "migrate");
        complete_job(namespace, "migrate");
        let path = namespace.kubeconfig_for("waiter", Some(JOBS));
        let text = fs::read_to_string(&path).expect("a kubeconfig");
        let folder = path.with_extension("folder");
        fs::create_dir_all(&folder).expect("the folder takes folders");
        Self { namespace, kubeconfig: serde_json::from_str(&text).expect("the testbed writes JSON"), folder }
    }

    fn write(&self, name: &str, change: impl Fn(&mut Value, &mut Value, &mut Value)) -> PathBuf {
        let mut kubeconfig = self.kubeconfig.clone();
        let (mut cluster, mut user, mut context) = (
            kubeconfig["clusters"][0]["cluster"].take(),
            kubeconfig["users"][0]["user"].take(),
            kubeconfig["contexts"][0]["context"].take(),
        );
        cluster["server"] = format!("https://{API_ADDRESS}:443").into();
        let ca = read(self.namespace, "ca.crt");
        cluster.as_object_mut().expect("a cluster").remove("certificate-authority");
        cluster["certificate-authority-data"] = base64(ca.as_bytes()).into();
        change(&mut cluster, &mut user, &mut context);
        kubeconfig["clusters"][0]["cluster"] = cluster;
        kubeconfig["users"][0]["user"] = user;
        kubeconfig["contexts"][0]["context"] = context;
        let path = self.folder.join(format!("{}.json", name.replace(|char: char| !char.is_alphanumeric(), "-")));
        fs::write(&path, kubeconfig.to_string()).expect("the folder takes files");
        path
    }

    fn kubectl(&self, kubeconfig: &str) -> Output {
        run(self.namespace.cluster().kubectl(), &["get", "job", "migrate", "--request-timeout=5s"], kubeconfig)
    }
}

fn ours(kubeconfig: &str) -> Output {
    let arguments = ["job", "migrate", "--timeout=0", "--log-level=trace"];
    run(&program(), &arguments, kubeconfig)
}

/// With nobody to log in by hand.
fn run(program: &Path, arguments: &[&str], kubeconfig: &str) -> Output {
    let home = std::env::temp_dir();
    let mut command = Command::new("timeout");
    command.arg("20").arg(program).args(arguments).env_clear().env("KUBECONFIG", kubeconfig).env("HOME", home);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
    command.output().expect("it starts")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn base64(bytes: &[u8]) -> String {
    serde_json::to_value(k8s_openapi::ByteString(bytes.to_vec())).expect("text").as_str().expect("text").to_owned()
}

pub fn kubeconfigs_mean_what_kubectl_means_by_them(namespace: &Namespace) {
    let scene = Scene::new(namespace);
    let mut wrong = Vec::new();
    for Case { name, change, kubectl_works, ours: wanted, why } in cases(namespace, &scene.folder) {
        let path = scene.write(name, change);
        let path = path.to_str().expect("UTF-8");
        let (theirs, output) = (scene.kubectl(path), ours(path));
        let text = said(&output);
        let right = match wanted {
            Ours::Works => output.status.code() == Some(0),
            Ours::Ends(code, part) => output.status.code() == Some(code) && text.contains(part),
        };
        if !right || theirs.status.success() != kubectl_works {
            wrong.push(format!(
                "{name}: expected {wanted:?}, kubectl {kubectl_works}\n{text}\nkubectl: {}",
                said(&theirs)
            ));
        }
        assert_eq!((wanted == Ours::Works) == kubectl_works, why.is_empty(), "{name}: a difference has its reason");
        assert!(!text.contains("system:anonymous") || !text.contains("kind: Role"), "{name}: {text}");
        assert!(!text.contains("secret@") && !text.contains("jane:secret"), "{name}: {text}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

pub fn files_of_a_list_are_merged_as_kubectl_does(namespace: &Namespace) {
    let scene = Scene::new(namespace);
    let whole = scene.write("whole", |_, _, _| {});
    let write = |name: &str, value: Value| {
        let path = scene.folder.join(name);
        fs::write(&path, value.to_string()).expect("the folder takes files");
        path.to_string_lossy().into_owned()
    };
    let named = |name: &str| scene.kubeconfig[name][0]["name"].clone();
    let empty = write("empty.json", json!({"apiVersion": "v1", "kind": "Config", "current-context": ""}));
    let elsewhere = write(
        "elsewhere.json",
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "elsewhere",
            "clusters": [{"name": named("clusters"), "cluster": {"server": "https://127.0.0.1:1"}}],
        }),
    );
    let namesake = write(
        "namesake.json",
        json!({
            "apiVersion": "v1", "kind": "Config",
            "users": [{"name": named("users"), "user": {"token": "wrong"}}],
        }),
    );
    let nothing = write("nothing.yaml", Value::Null);
    fs::write(&nothing, "").expect("the folder takes files");
    let whole = whole.to_str().expect("UTF-8");
    let table = [
        (whole.to_owned(), 0),
        (format!("{empty}:{whole}"), 0),
        (format!("{nothing}:{whole}"), 0),
        (format!("/nonexistent/a::{whole}:/nonexistent/b"), 0),
        (format!("{whole}:{elsewhere}"), 0),
        (format!("{whole}:{namesake}"), 0),
        // Of two with the same name the first one counts, whole.
        (format!("{namesake}:{whole}"), 77),
        (format!("{elsewhere}:{whole}"), 78),
        (empty, 78),
        (nothing, 78),
        ("/nonexistent/a:/nonexistent/b".to_owned(), 78),
    ];
    for (list, code) in table {
        let (theirs, ours) = (scene.kubectl(&list), ours(&list));
        assert_eq!(ours.status.code(), Some(code), "{list}: {}", said(&ours));
        assert_eq!(theirs.status.success(), code == 0, "{list}: {}", said(&theirs));
    }
}
