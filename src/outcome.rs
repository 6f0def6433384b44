//! How the program ends, and the exit code for it. The codes are stable: a Job's podFailurePolicy and container
//! restart rules read them.

/// Why the wait is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The condition is met.
    Ready,
    /// A target failed (with `--any`: all of them).
    Failed,
    /// The API refuses, for longer than the grace or still at the deadline.
    Denied,
    /// The API says that the request itself is wrong: a usage error after all, with its text.
    Invalid(String),
    /// The deadline has passed.
    Deadline,
    /// Looked once, as asked for, and the condition was not met.
    NotYet,
    /// SIGINT
    Interrupted,
    /// SIGTERM
    Terminated,
}

/// A usage error that was found before any request.
pub const USAGE: i32 = 2;
/// No credentials, a broken kubeconfig, an unknown context.
pub const CONFIGURATION: i32 = 78;

impl Outcome {
    /// 77 and 78 are `EX_NOPERM` and `EX_CONFIG` of sysexits.h, 124 is what timeout(1) uses, 130 and 143 are 128 plus
    /// the signal.
    pub fn code(&self) -> i32 {
        match self {
            Self::Ready => 0,
            Self::Failed => 1,
            Self::Invalid(_) => USAGE,
            Self::Denied => 77,
            Self::Deadline | Self::NotYet => 124,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}
