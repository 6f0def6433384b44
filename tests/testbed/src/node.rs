//! The cluster's node: containerd and a kubelet, on the same kernel, in the cluster's own namespaces and control
//! groups. Pods hang on a bridge; the API server's address is one of the same network namespace, so that they reach it
//! without kube-proxy. There is no DNS server and no way out.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::{
    cgroup,
    credentials::{Credentials, NODE, write},
    enter::{self, NODE_ADDRESS, WORK},
    image, machine,
    programs::Programs,
};

/// Paths that programs have built in, covered so that the machine's own stay as they are.
const COVERED: [&str; 4] = ["/var/lib/cni", "/var/lib/kubelet", "/var/log/pods", "/var/log/containers"];

/// containerd's default, on the tmpfs that covers `/run`.
const SOCKET: &str = "/run/containerd/containerd.sock";

/// What the node is made of.
pub struct Node<'a> {
    pub identity: &'a str,
    pub programs: &'a Programs,
    /// The product's static binary.
    pub product: PathBuf,
}

impl Node<'_> {
    /// The first step, before any process of the cluster: its control groups, folders and settings.
    pub fn prepare(&self) -> Result<()> {
        cgroup::create(self.identity)?;
        for folder in COVERED {
            enter::mount_tmpfs(folder)?;
        }
        for folder in ["cni", "images"] {
            fs::create_dir(work(folder)).with_context(|| format!("create {folder}"))?;
        }
        write(&work("cni/10-bridge.conflist"), &network().to_string())?;
        write(&work("kubelet.json"), &kubelet(self.identity).to_string())?;
        let runc = machine::find("runc").context("runc was there when the machine was prepared")?;
        write(&work("containerd.toml"), &containerd(self.programs.folder(), &runc))
    }

    pub fn containerd_arguments() -> Vec<OsString> {
        vec!["--config".into(), work("containerd.toml").into()]
    }

    pub fn kubelet_arguments(credentials: &Credentials) -> Vec<OsString> {
        [
            format!("--config={WORK}/kubelet.json"),
            format!("--kubeconfig={}", credentials.text("kubelet.kubeconfig")),
            format!("--hostname-override={NODE}"),
            format!("--node-ip={NODE_ADDRESS}"),
        ]
        .map(OsString::from)
        .to_vec()
    }

    pub fn import_images(&self) -> Result<()> {
        let tars = image::write_all(&self.programs.path("pause"), &self.product, &work("images"))?;
        for tar in tars {
            let output = self.ctr().args(["images", "import", "--local"]).arg(&tar).output().context("start ctr")?;
            let error = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "import {}: {}", tar.display(), error.trim_end());
        }
        let names = self.ctr().args(["images", "list", "--quiet"]).output().context("start ctr")?.stdout;
        let names = String::from_utf8_lossy(&names);
        ensure!(
            names.lines().any(|name| name == image::PRODUCT),
            "IMAGE_TAR holds no {}; the node has\n{names}",
            image::PRODUCT
        );
        Ok(())
    }

    /// Whether containerd answers.
    pub fn runtime_is_ready(&self) -> bool {
        self.ctr().arg("version").output().is_ok_and(|output| output.status.success())
    }

    fn ctr(&self) -> Command {
        let mut command = Command::new(self.programs.path("ctr"));
        command.args(["--address", SOCKET, "--namespace", "k8s.io"]);
        command
    }
}

/// A path in the cluster's folder.
fn work(path: &str) -> PathBuf {
    Path::new(WORK).join(path)
}

/// Pods on one bridge, whose address is their way to the API server.
/// Ends the sandbox of the pod with this uid, by the id of its pause process.
///
/// # Panics
/// It does not run.
pub fn kill_sandbox(pod_uid: &str) {
    let pause = fs::read_dir("/proc").expect("there are processes").flatten().find_map(|process| {
        let id: i32 = process.file_name().to_str()?.parse().ok()?;
        let text = |file: &str| fs::read_to_string(process.path().join(file)).unwrap_or_default();
        (text("comm").trim() == "pause" && text("cgroup").contains(pod_uid)).then_some(id)
    });
    let id = pause.and_then(Pid::from_raw).unwrap_or_else(|| panic!("the sandbox of pod {pod_uid} runs"));
    kill_process(id, Signal::KILL).expect("a sandbox can be ended");
}

fn network() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": "pods0",
            "isGateway": true,
            "isDefaultGateway": true,
            "ipMasq": false,
            "hairpinMode": true,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/16"}]], "dataDir": work("cni-addresses")},
        }],
    })
}

fn kubelet(identity: &str) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
        "cgroupDriver": "cgroupfs",
        // Kubelets that share a root kill each other's pods.
        "cgroupRoot": cgroup::root(identity),
        "failCgroupV1": false,
        "failSwapOn": false,
        "enforceNodeAllocatable": [],
        // Nobody else reaches it: the API server reads logs without a certificate of its own.
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "resolvConf": "",
        // No server is there; without the address each pod gets an event that one is missing.
        "clusterDNS": ["10.96.0.10"],
        "clusterDomain": "cluster.local",
        // How full the machine's disk is does not concern a cluster on a tmpfs.
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
    })
}

fn containerd(programs: &Path, runc: &Path) -> String {
    let (programs, runc) = (programs.display(), runc.display());
    let pause = image::PAUSE;
    format!(
        "version = 4
root = '{WORK}/containerd'
imports = []
disabled_plugins = ['io.containerd.nri.v1.nri']
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '{pause}'
[plugins.'io.containerd.cri.v1.runtime']
# Else no sandbox starts where CAP_SYS_RESOURCE is missing.
restrict_oom_score_adj = true
enable_criu = false
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = '{runc}'
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['{programs}']
conf_dir = '{WORK}/cni'
[plugins.'io.containerd.internal.v1.opt']
path = '{WORK}/containerd-opt'
[plugins.'io.containerd.metadata.v1.bolt']
no_sync = true
"
    )
}
