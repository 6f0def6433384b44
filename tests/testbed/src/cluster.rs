//! A Kubernetes cluster: one of our own, started in these namespaces, or the one that the user's kubeconfig names.

use std::{
    env,
    ffi::OsString,
    fs, iter,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1 as core;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::runtime::Runtime;

use crate::{
    audit::{self, AuditedRequest},
    credentials::{Credentials, NODE, write},
    enter::{self, API_ADDRESS, WORK},
    machine,
    node::Node,
    process::Process,
    programs::Programs,
};

const SERVICES: &str = "10.96.0.0/16";
const ETCD: &str = "http://127.0.0.1:2379";

/// A cluster with a client that has every right. All methods block.
pub struct Cluster {
    pub(crate) client: Client,
    pub(crate) runtime: Runtime,
    pub(crate) kubectl: PathBuf,
    /// For kubeconfigs and the like; gone with the cluster.
    pub(crate) folder: PathBuf,
    kubeconfig: PathBuf,
    /// Of a cluster of our own only.
    processes: Vec<Process>,
}

impl Cluster {
    /// Starts a control plane, in namespaces that [`enter::enter`] made.
    ///
    /// # Errors
    /// A part does not start; the end of its log is in the error.
    pub(crate) fn start(programs: &Programs, node: Option<&Node>) -> Result<Self> {
        let started = Instant::now();
        enter::settle()?;
        if let Some(node) = node {
            node.prepare()?;
        }
        let work = Path::new(WORK);
        let credentials = Credentials::make(work.join("credentials"))?;
        write(&work.join("audit-policy.json"), &audit::policy().to_string())?;
        for folder in ["logs", "kubeconfigs"] {
            fs::create_dir(work.join(folder)).with_context(|| format!("create {folder}"))?;
        }
        let kubeconfig = credentials.kubeconfig("admin");
        let runtime = runtime()?;
        let client = client(&runtime, &kubeconfig)?;
        let folder = work.join("kubeconfigs");
        let mut cluster =
            Self { client, runtime, kubectl: programs.path("kubectl"), folder, kubeconfig, processes: Vec::new() };
        if node.is_some() {
            // First, since it takes no less time than the control plane and needs nothing of it.
            cluster.launch("containerd", programs, Node::containerd_arguments())?;
        }
        cluster.start_control_plane(programs, &credentials)?;
        machine::progress(&format!("control plane ready in {:.1} s", started.elapsed().as_secs_f32()));
        if let Some(node) = node {
            cluster.start_node(node, &credentials)?;
            machine::progress(&format!("node ready in {:.1} s", started.elapsed().as_secs_f32()));
        }
        Ok(cluster)
    }

    /// The cluster of the current context of the user's kubeconfig, which is shown first.
    ///
    /// # Errors
    /// There is no such context, no kubectl, or nobody answers.
    pub fn existing() -> Result<Self> {
        let kubectl = machine::find("kubectl").context("kubectl is needed for USE_EXISTING_CLUSTER")?;
        let kubeconfig = Kubeconfig::read().context("read the kubeconfig")?;
        let context = kubeconfig.current_context.clone().context("the kubeconfig has no current context")?;
        let folder = env::temp_dir().join(format!("testbed-{}", std::process::id()));
        // For this user alone: there are tokens in it.
        fs::DirBuilder::new().mode(0o700).create(&folder).with_context(|| format!("create {}", folder.display()))?;
        // One file that is complete in itself, whatever KUBECONFIG is made of.
        let flat = Command::new(&kubectl)
            .args(["config", "view", "--raw", "--flatten", "--minify", "--output=json"])
            .output()
            .context("start kubectl")?;
        ensure!(flat.status.success(), "kubectl config view: {}", String::from_utf8_lossy(&flat.stderr).trim_end());
        let path = folder.join("admin.kubeconfig");
        write(&path, &String::from_utf8_lossy(&flat.stdout))?;
        let runtime = runtime()?;
        let client = client(&runtime, &path)?;
        let server =
            Kubeconfig::read_from(&path)?.clusters.pop().and_then(|named| named.cluster?.server).unwrap_or_default();
        machine::progress(&format!("existing cluster: context {context}, server {server}"));
        let cluster = Self { client, runtime, kubectl, folder, kubeconfig: path, processes: Vec::new() };
        cluster.request("/readyz").context("ask the existing cluster whether it is ready")?;
        Ok(cluster)
    }

    /// kubectl, to be compared with.
    pub fn kubectl(&self) -> &Path {
        &self.kubectl
    }

    /// A kubeconfig with every right.
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The certificates and keys of a cluster of our own: `ca.crt`, `apiserver.key`, `client.crt` and so on.
    pub fn credentials(&self) -> &Path {
        self.kubeconfig.parent().unwrap_or(Path::new(WORK))
    }

    /// The image of k8s-wait-for that the nodes have: `IMAGE`, which an existing cluster needs, or our own.
    pub fn image(&self) -> String {
        env::var("IMAGE").ok().filter(|_| !self.is_own()).unwrap_or_else(|| "k8s-wait-for:dev".to_owned())
    }

    /// Whether the testbed started it, so that its programs and its audit log are at hand.
    pub fn is_own(&self) -> bool {
        !self.processes.is_empty()
    }

    /// Whether it is our own and has a node.
    pub fn has_node(&self) -> bool {
        self.processes.iter().any(|process| process.name() == "kubelet")
    }

    /// A program of our own cluster: `etcd`, `kube-apiserver`, `kube-controller-manager`, `kube-scheduler`, and on a
    /// node `containerd` and `kubelet`.
    ///
    /// # Panics
    /// No program of this name was started.
    pub fn process(&self, name: &str) -> &Process {
        self.processes
            .iter()
            .find(|process| process.name() == name)
            .unwrap_or_else(|| panic!("the cluster runs no {name}"))
    }

    /// Waits until the API server answers again after a test stopped or killed a program of the control plane.
    ///
    /// # Panics
    /// It does not within minutes; the end of its log is shown.
    pub fn await_api_server(&self) {
        let answer = self.process("kube-apiserver").await_ready(|| self.request("/readyz").is_ok());
        answer.unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// What this user has asked for so far, a request that just ended included.
    ///
    /// # Panics
    /// There is no audit log, because the cluster is not our own.
    pub fn requests_by(&self, user: &str) -> Vec<AuditedRequest> {
        assert!(self.is_own(), "only a cluster of our own has an audit log");
        self.await_audit_log().expect("the audit log shows a request that was answered");
        audit::read(&Path::new(WORK).join("audit.log"), user).expect("the audit log is readable")
    }

    /// The server logs a request right after its answer, so a client may be ahead of the log. A request of our own
    /// that has come to the log since says that earlier ones have too.
    fn await_audit_log(&self) -> Result<()> {
        let log = Path::new(WORK).join("audit.log");
        let (mark, before) = (format!("/version?mark={}", unique()), log.metadata().map_or(0, |log| log.len()));
        self.request(&mark)?;
        let limit = Instant::now() + Duration::from_secs(10);
        while !audit::since(&log, before)?.contains(&mark) {
            ensure!(Instant::now() < limit, "not in the audit log: {mark}");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn request(&self, path: &str) -> Result<String> {
        let request = http::Request::get(path).body(Vec::new()).context("make a request")?;
        self.wait_for(self.client.request_text(request)).with_context(|| format!("get {path}"))
    }

    /// Runs a request to its end, within a limit: an API server that a test froze must not freeze the test.
    pub(crate) fn wait_for<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T> {
        let limited = async { tokio::time::timeout(Duration::from_mins(1), request).await };
        Ok(self.runtime.block_on(limited).context("no answer from the API server")??)
    }

    fn start_control_plane(&mut self, programs: &Programs, credentials: &Credentials) -> Result<()> {
        self.launch("etcd", programs, etcd_arguments())?;
        self.launch("kube-apiserver", programs, api_server_arguments(credentials))?;
        self.process("kube-apiserver").await_ready(|| self.request("/readyz").is_ok())?;
        self.launch("kube-controller-manager", programs, controller_manager_arguments(credentials))?;
        self.launch("kube-scheduler", programs, scheduler_arguments(credentials))
    }

    fn start_node(&mut self, node: &Node, credentials: &Credentials) -> Result<()> {
        self.process("containerd").await_ready(|| node.runtime_is_ready())?;
        self.launch("kubelet", node.programs, Node::kubelet_arguments(credentials))?;
        node.import_images()?;
        let nodes = Api::<core::Node>::all(self.client.clone());
        let state = || self.wait_for(nodes.get_opt(NODE)).ok().flatten().unwrap_or_default();
        self.process("kubelet")
            .await_ready_or(|| takes_pods(&state()), || format!("the node takes no pods: {:?}", state()))
    }

    fn launch(&mut self, name: &'static str, programs: &Programs, arguments: Vec<OsString>) -> Result<()> {
        let logs = Path::new(WORK).join("logs");
        // containerd finds its shim there, and the shim what it starts.
        let path = env::join_paths(iter::once(programs.folder().to_owned()).chain(machine::search_path()))?;
        self.processes.push(Process::start(name, programs.path(name), arguments, vec![("PATH", path)], &logs)?);
        Ok(())
    }
}

impl Drop for Cluster {
    /// The files of our own cluster go with its mount namespace; those beside an existing one lie on the machine's
    /// disk.
    fn drop(&mut self) {
        if !self.is_own() {
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

/// The taint of a new node goes a moment after it has become ready.
fn takes_pods(node: &core::Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let taints = node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    taints.is_empty() && conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("start the runtime")
}

fn client(runtime: &Runtime, kubeconfig: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).context("read the admin kubeconfig")?;
    runtime.block_on(async {
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    })
}

fn etcd_arguments() -> Vec<OsString> {
    arguments(&[
        ("data-dir", format!("{WORK}/etcd")),
        ("listen-client-urls", ETCD.into()),
        ("advertise-client-urls", ETCD.into()),
        // The data is on a tmpfs and ends with the cluster: nothing is gained by writing it out.
        ("unsafe-no-fsync", "true".into()),
        ("log-level", "warn".into()),
    ])
}

fn api_server_arguments(credentials: &Credentials) -> Vec<OsString> {
    arguments(&[
        ("etcd-servers", ETCD.into()),
        ("bind-address", API_ADDRESS.into()),
        // Said, because its default is an address of the default route, which this network has not.
        ("advertise-address", API_ADDRESS.into()),
        ("secure-port", "443".into()),
        ("tls-cert-file", credentials.text("apiserver.crt")),
        ("tls-private-key-file", credentials.text("apiserver.key")),
        ("token-auth-file", credentials.text("tokens.csv")),
        ("client-ca-file", credentials.text("ca.crt")),
        ("service-account-issuer", "https://kubernetes.default.svc".into()),
        ("service-account-signing-key-file", credentials.text("service-account.key")),
        ("service-account-key-file", credentials.text("service-account.pub")),
        ("service-cluster-ip-range", SERVICES.into()),
        ("endpoint-reconciler-type", "none".into()),
        ("authorization-mode", "Node,RBAC".into()),
        ("allow-privileged", "true".into()),
        ("kubelet-preferred-address-types", "InternalIP".into()),
        ("audit-policy-file", format!("{WORK}/audit-policy.json")),
        ("audit-log-path", format!("{WORK}/audit.log")),
    ])
}

fn controller_manager_arguments(credentials: &Credentials) -> Vec<OsString> {
    arguments(&[
        ("kubeconfig", credentials.text("kube-controller-manager.kubeconfig")),
        ("use-service-account-credentials", "true".into()),
        ("root-ca-file", credentials.text("ca.crt")),
        // How soon a node that has become ready loses the taint of one that is not.
        ("node-monitor-period", "1s".into()),
        ("service-account-private-key-file", credentials.text("service-account.key")),
        // Each controller asks for a token of its own before it starts, at the default of 20 requests a second.
        ("kube-api-qps", "500".into()),
        ("kube-api-burst", "500".into()),
        ("leader-elect", "false".into()),
        ("secure-port", "0".into()),
        // It deletes every pod on a node that is not there, as most pods of tests are, once or twice a minute.
        ("controllers", "*,-pod-garbage-collector-controller".into()),
    ])
}

fn scheduler_arguments(credentials: &Credentials) -> Vec<OsString> {
    arguments(&[
        ("kubeconfig", credentials.text("kube-scheduler.kubeconfig")),
        ("leader-elect", "false".into()),
        ("secure-port", "0".into()),
    ])
}

fn arguments(flags: &[(&str, String)]) -> Vec<OsString> {
    flags.iter().map(|(name, value)| format!("--{name}={value}").into()).collect()
}

/// A text that no other process or call of this one makes.
fn unique() -> String {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), CALLS.fetch_add(1, Ordering::Relaxed))
}
