//! A real Kubernetes for tests: started from `main` in namespaces of its own, gone with the program that started it.
//! A test program with `harness = false` calls [`run_tests`]; each test gets a [`Namespace`] for itself and starts the
//! product with [`Wait`]. Its objects come from [`objects`], the product is started by [`scene`]. Nothing here imitates
//! Kubernetes: where pods must not run, a test writes their status.

pub mod audit;
pub mod capture;
pub mod cell;
mod cgroup;
pub mod cluster;
mod credentials;
pub mod dockerfile;
pub mod enter;
pub mod figures;
pub mod front;
pub mod harness;
mod image;
pub mod jsonpath;
pub mod machine;
pub mod namespace;
mod node;
pub mod objects;
pub mod process;
pub mod product;
pub mod programs;
pub mod scene;
pub mod setup;
pub mod usage;
pub mod wait;
pub mod wire;

pub use audit::AuditedRequest;
pub use cluster::Cluster;
pub use harness::{Needs, Test, run_tests};
pub use namespace::{LIMIT, Namespace};
pub use node::kill_sandbox;
pub use process::Process;
pub use rustix::process::Signal;
pub use wait::{Finished, Wait};
