//! The testbed tests itself: the programs of the control plane can be frozen, killed and started again. They are all
//! tests' own, so this program has one test only.

use std::process::ExitCode;

use testbed::{Namespace, Needs, Signal, Test, tests};

fn main() -> ExitCode {
    let tests = tests![control_plane_survives_its_programs];
    testbed::run_tests(4, Needs::ControlPlane, tests.map(Test::of_own_cluster))
}

const SETTINGS: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {answer: '42'}}";

fn control_plane_survives_its_programs(namespace: &Namespace) {
    let cluster = namespace.cluster();
    namespace.apply(SETTINGS);
    let server = cluster.process("kube-apiserver");
    let first = server.id();
    server.restart().expect("the API server is started again");
    assert_ne!(server.id(), first);
    cluster.await_api_server();
    assert_eq!(namespace.get("configmap/settings")["data"]["answer"], "42");
    let etcd = cluster.process("etcd");
    etcd.signal(Signal::STOP).expect("etcd is there");
    etcd.signal(Signal::CONT).expect("etcd is there");
    etcd.restart().expect("etcd is started again");
    cluster.await_api_server();
    assert_eq!(namespace.get("configmap/settings")["data"]["answer"], "42");
}
