//! All that speaks to the API server: which one, as whom, by which way, and the watch.

pub mod backoff;
pub mod client;
pub mod config;
pub mod credentials;
pub mod discovery;
pub mod exec;
pub mod failure;
mod kubeconfig;
pub mod names;
pub mod peer;
pub mod proxy;
pub mod server;
pub mod watch;
