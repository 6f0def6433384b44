//! k8s-wait-for: waits until Jobs, Pods, Services and volume claims are ready, and says why they are not.
//!
//! This file parses, has it done and exits; it is the one place that does, and that prints an error chain.

mod api;
mod cli;
mod complete;
mod diagnose;
#[cfg(test)]
mod fixtures;
mod follow;
mod identity;
mod kinds;
mod outcome;
mod output;
mod rbac;
mod status;
mod supervise;
mod target;
mod text;
mod wait;

use std::ffi::OsString;
use std::{env, process};

use crate::cli::Command;
use crate::output::lines;
use crate::output::style::Style;
use crate::output::{Output, termination};

// Not by returning an ExitCode: the thread that waits may be blocked for good.
fn main() {
    let output = Output::start();
    let arguments: Vec<OsString> = env::args_os().collect();
    let variable = |name: &str| env::var(name).ok();
    let refuse = |code: i32, text: String| refuse(code, &text, cli::wants_json(&arguments, variable), &output);
    let code = match cli::parse(arguments.iter().cloned(), variable) {
        Ok(Command::Wait(wait)) => supervise::run(*wait, &output)
            .unwrap_or_else(|error| refuse(outcome::CONFIGURATION, format!("error: {}", text::chain(error.as_ref())))),
        Ok(Command::Rbac(request)) => match rbac::yaml(&request) {
            Ok(yaml) => print(&yaml, &output),
            Err(error) => refuse(outcome::USAGE, format!("error: {error}")),
        },
        Ok(Command::Completions(shell)) => {
            print(&complete::script(shell, arguments.first().map(OsString::as_os_str)), &output)
        }
        Ok(Command::Complete(line)) => print(&complete::candidates(line), &output),
        Ok(Command::Text(text)) => print(&text, &output),
        Err(usage) => refuse(outcome::USAGE, format!("error: {usage}")),
    };
    output.flush();
    process::exit(code);
}

fn print(text: &str, output: &Output) -> i32 {
    if !text.is_empty() {
        output.line(text.trim_end());
    }
    0
}

/// Says why there is no wait, wherever somebody may look for it.
fn refuse(code: i32, text: &str, json: bool, output: &Output) -> i32 {
    if json {
        let style = Style { json, quiet: false, color: false };
        output.clone().styled(style, false).say(&lines::refusal(code, text));
    } else {
        output.error(text);
    }
    let lines: Vec<String> = text.lines().map(text::harmless).collect();
    termination::leave(&[], &lines, &[]);
    code
}
