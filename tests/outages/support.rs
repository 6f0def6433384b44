//! The testbed tests itself: the programs of the control plane can be frozen, killed and started again.

use testbed::{Namespace, Signal};

const SETTINGS: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {answer: '42'}}";

pub fn control_plane_survives_its_programs(namespace: &Namespace) {
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
