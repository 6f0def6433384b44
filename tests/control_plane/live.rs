//! The live view, on a pseudo-terminal of the system and as a terminal emulator shows it.

use std::{
    io::Read,
    num::NonZeroU16,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::json;
use testbed::{
    LIMIT, Namespace,
    machine::{self},
    objects::{create_job, end_job},
    scene::{ALL, EVERYTHING, changed, exec_credential, plugin, program, write_script},
};
use vt100::Parser;

/// The program on a terminal of its own.
struct Terminal {
    child: Child,
    near_end: OwnedFd,
    screen: Arc<Mutex<Screen>>,
    reader: JoinHandle<()>,
}

/// What came, as it is and as it looks.
struct Screen {
    bytes: Vec<u8>,
    parser: Parser,
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn nonzero(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("a terminal has rows and columns")
}

impl Terminal {
    fn start(namespace: &Namespace, columns: u16, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let kubeconfig = namespace.kubeconfig_for("waiter", Some(EVERYTHING));
        Self::start_with(&kubeconfig, (30, columns), arguments, environment, false)
    }

    /// `talks`: what is typed is read, keys send signals, and stderr is seen, too.
    fn start_with(
        kubeconfig: &Path,
        (rows, columns): (u16, u16),
        arguments: &[&str],
        environment: &[(&str, &str)],
        talks: bool,
    ) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&terminal).expect("it is ours");
        unlockpt(&terminal).expect("it is ours");
        tcsetwinsize(&terminal, size(rows, columns)).expect("it has a size");
        let path = ptsname(&terminal, Vec::new()).expect("its other end has a name");
        let stdout = open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other end");
        let mut command = machine::bound(if talks { "setsid".into() } else { program() });
        if talks {
            command.arg("--ctty").arg(program());
        }
        command
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", kubeconfig)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TERM", "xterm")
            .envs(environment.to_vec());
        if talks {
            let other = || stdout.try_clone().expect("a second handle");
            command.stdin(other()).stderr(other());
        } else {
            command.stdin(Stdio::null()).stderr(Stdio::null());
        }
        let child = command.stdout(stdout).spawn().expect("it starts");
        // The other end is the child's alone, so that reading ends with it.
        drop(command);
        let parser = Parser::new(nonzero(rows), nonzero(columns), 0);
        let screen = Arc::new(Mutex::new(Screen { bytes: Vec::new(), parser }));
        let source = std::fs::File::from(terminal.try_clone().expect("a second handle"));
        let reader = thread::spawn({
            let screen = Arc::clone(&screen);
            move || read(source, &screen)
        });
        Self { child, near_end: terminal, screen, reader }
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines on the screen as they are now.
    fn lines(&self) -> Vec<String> {
        self.screen().lines()
    }

    /// Waits for a screen that is right, and answers it.
    #[track_caller]
    fn await_lines(&self, what: &str, right: impl Fn(&[String]) -> bool) -> Vec<String> {
        let limit = Instant::now() + LIMIT;
        loop {
            let lines = self.lines();
            if right(&lines) {
                return lines;
            }
            assert!(Instant::now() < limit, "never: {what}; the screen:\n{}", lines.join("\n"));
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn resize(&self, columns: u16) {
        let mut screen = self.screen();
        let screen = screen.parser.screen_mut();
        let rows = screen.size().0;
        tcsetwinsize(&self.near_end, size(rows.get(), columns)).expect("it has a size");
        screen.set_size(rows, nonzero(columns));
    }

    fn press(&self, keys: &[u8]) {
        rustix::io::write(&self.near_end, keys).expect("somebody reads");
    }

    /// The exit code, the last screen and all that was written.
    fn finish(mut self) -> (Option<i32>, Vec<String>, String) {
        let status = self.child.wait().expect("a child can be waited for");
        self.reader.join().expect("reading ends with the child");
        let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        (status.code(), screen.lines(), String::from_utf8_lossy(&screen.bytes).into_owned())
    }
}

impl Screen {
    fn lines(&self) -> Vec<String> {
        let screen = self.parser.screen();
        let lines = screen.rows(0, screen.size().1.get()).map(|line| line.trim_end().to_owned());
        let mut lines: Vec<String> = lines.collect();
        lines.truncate(lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1));
        lines
    }
}

/// A terminal whose other end is closed is read with an error.
fn read(mut source: impl Read, screen: &Mutex<Screen>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = source.read(&mut buffer) {
        let mut screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
        screen.bytes.extend_from_slice(&buffer[..length]);
        screen.parser.process(&buffer[..length]);
    }
}

/// The rows of the live view: below the transcript, whose lines begin with a time, and an empty line.
fn rows(lines: &[String]) -> Vec<String> {
    lines.iter().filter(|line| !line.starts_with('[') && !line.is_empty()).cloned().collect()
}

fn is_row(line: &str) -> bool {
    ["waiting confi", "w conf…"].iter().any(|start| line.starts_with(start)) || line.contains(" more: ")
}

fn seconds(row: &str) -> Option<u64> {
    row.split_whitespace().nth(2)?.strip_suffix('s')?.parse().ok()
}

pub fn targets_are_redrawn_in_place_and_a_transcript_is_left(namespace: &Namespace) {
    let terminal = Terminal::start(namespace, 200, &["job/migrate", "pod/db-0", "--any"], &[]);
    let is_row = |row: &str, state: &str, target: &str, text: &str| {
        let words: Vec<&str> = row.split_whitespace().collect();
        words.first() == Some(&state) && words.get(1) == Some(&target) && row.contains(text)
    };
    let lines = terminal.await_lines("a row for each target", |lines| {
        let rows = rows(lines);
        rows.len() == 2
            && is_row(&rows[0], "waiting", "job/migrate", "does not exist")
            && is_row(&rows[1], "waiting", "pod/db-0", "does not exist")
    });
    assert!(lines[0].starts_with('[') && lines[0].contains("waiting for job/migrate"), "{lines:#?}");
    terminal.await_lines("a second that is counted", |lines| {
        rows(lines).first().and_then(|row| seconds(row)).is_some_and(|seconds| seconds >= 1)
    });
    create_job(namespace, "migrate", "");
    terminal.await_lines("the change in the same row", |lines| {
        let rows = rows(lines);
        rows.len() == 2 && is_row(&rows[0], "waiting", "job/migrate", "running: 1 pod active")
    });
    terminal.resize(60);
    terminal.await_lines("rows that are cut to the new width", |lines| {
        let rows = rows(lines);
        let last = &lines[lines.len().saturating_sub(2)..];
        rows.len() >= 2 && last[0].starts_with("waiting") && last[1].starts_with("waiting") && last[0].len() <= 60
    });
    terminal.resize(200);
    end_job(namespace, "migrate", "Succeeded");
    let (code, lines, bytes) = terminal.finish();
    assert_eq!(code, Some(0), "{lines:#?}");
    let last = lines.last().map_or("", String::as_str);
    assert!(last.starts_with('[') && last.contains("done after "), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.starts_with("waiting ") || line.starts_with("ready ")), "{lines:#?}");
    for part in [
        "waiting\u{1b}[0m: does not exist\r\n",
        "waiting\u{1b}[0m: running",
        "job/migrate: \u{1b}[32mready\u{1b}[0m\r\n",
    ] {
        assert!(bytes.contains(part), "the transcript has {part:?}: {bytes:?}");
    }
    assert!(bytes.contains("\u{1b}[33mwaiting"), "{bytes:?}");
}

pub fn colors_can_be_had_or_not(namespace: &Namespace) {
    for (arguments, environment, colored) in [
        (&["pod/db-0"][..], &[][..], true),
        (&["pod/db-0", "--color=never"], &[], false),
        (&["pod/db-0"], &[("NO_COLOR", "1")], false),
    ] {
        let arguments = [arguments, &["--timeout=2s"]].concat();
        let (code, lines, bytes) = Terminal::start(namespace, 100, &arguments, environment).finish();
        assert_eq!(code, Some(124), "{lines:#?}");
        assert_eq!(bytes.contains("\u{1b}[3"), colored, "{arguments:?} {environment:?}: {bytes:?}");
        assert!(bytes.contains("\u{1b}["), "it is drawn in place all the same: {bytes:?}");
        assert!(!lines.iter().any(|line| line.starts_with("waiting ")), "{lines:#?}");
    }
}

pub fn terminal_is_left_alone_where_it_cannot_draw(namespace: &Namespace) {
    for (arguments, environment) in
        [(&["--output=json"][..], &[][..]), (&["--quiet", "--color=never"], &[]), (&[], &[("TERM", "dumb")])]
    {
        let arguments = [&["pod/db-0", "--timeout=2s"], arguments].concat();
        let (code, lines, bytes) = Terminal::start(namespace, 100, &arguments, environment).finish();
        assert_eq!(code, Some(124), "{lines:#?}");
        assert!(!bytes.contains('\u{1b}'), "{arguments:?} {environment:?}: {bytes:?}");
    }
}

pub fn targets_beyond_the_last_row_are_counted(namespace: &Namespace) {
    let names: Vec<String> = (0..30).map(|index| format!("configmap/settings-{index:02}")).collect();
    for name in ["settings-00", "settings-20"] {
        namespace.apply(&format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}"));
    }
    let arguments: Vec<&str> = names.iter().map(String::as_str).collect();
    let kubeconfig = namespace.kubeconfig_for("waiter", Some(ALL));
    let terminal = Terminal::start_with(&kubeconfig, (15, 80), &arguments, &[], true);
    let await_rows = |first: &str, last: &str| {
        terminal.await_lines("the open ones first, the others counted", |lines| {
            let rows = lines.iter().filter(|line| is_row(line)).count();
            let drawn = &lines[lines.len().saturating_sub(12)..];
            rows == 12 && drawn[0].starts_with(first) && drawn[11] == last
        })
    };
    let counted = "19 more: 17 waiting, 2 ready";
    let lines = await_rows("waiting configmap/settings-01 ", counted);
    assert!(lines[lines.len() - 13].is_empty(), "{lines:#?}");
    terminal.resize(40);
    await_rows("waiting confi…ngs-01 ", counted);
    terminal.resize(12);
    await_rows("w conf…gs-01", "19 more: 17…");
    terminal.resize(200);
    await_rows("waiting configmap/settings-01 ", counted);
    terminal.press(b"\n\x03");
    let (code, lines, _) = terminal.finish();
    assert_eq!(code, Some(130), "{lines:#?}");
    let text = lines.concat();
    assert!(text.contains("interrupted") && text.contains("configmap/settings-01: "), "{lines:#?}");
    assert!(!lines.iter().any(|line| is_row(line)), "{lines:#?}");
}

pub fn long_name_leaves_room_for_the_reason(namespace: &Namespace) {
    let target = format!("configmap/settings-{}", "0123456789".repeat(8));
    let kubeconfig = namespace.kubeconfig_for("waiter", Some(ALL));
    for (columns, row, reason) in [
        (12, "w conf…56789", ""),
        (80, "waiting configmap/", "  does not"),
        (200, "waiting configmap/settings-0123456789", " does not exist"),
    ] {
        let terminal = Terminal::start_with(&kubeconfig, (40, columns), &[&target], &[], true);
        terminal.await_lines("its row", |lines| {
            lines.last().is_some_and(|last| last.starts_with(row) && last.contains(reason))
        });
        terminal.press(b"\x03");
        let (code, lines, _) = terminal.finish();
        assert_eq!(code, Some(130), "{lines:#?}");
        assert!(lines.concat().contains("interrupted") && !lines.iter().any(|line| is_row(line)), "{lines:#?}");
    }
}

/// It asks on stderr, and reads what is typed; nothing is drawn over it.
pub fn exec_plugin_asks_on_the_terminal(namespace: &Namespace) {
    create_job(namespace, "migrate", "");
    end_job(namespace, "migrate", "Succeeded");
    let kubeconfig = namespace.kubeconfig_for("waiter", Some(EVERYTHING));
    let credential = exec_credential(&json!({"token": namespace.token_for("waiter")}));
    let words = format!("printf 'password: ' >&2; read -r word; [ \"$word\" = sesame ] && echo '{credential}'");
    let script = kubeconfig.with_extension("sh");
    write_script(&script, &words);
    let path = changed(&kubeconfig, "plugin", |_, user| *user = plugin(&script.to_string_lossy(), "IfAvailable"));
    let terminal = Terminal::start_with(&path, (30, 200), &["job/migrate"], &[], true);
    terminal.await_lines("the question", |lines| lines.concat().contains("password:"));
    terminal.await_lines("who is waited for", |lines| lines.concat().contains("waiting for the exec plugin"));
    terminal.press(b"sesame\n");
    let (code, lines, _) = terminal.finish();
    assert_eq!(code, Some(0), "{lines:#?}");
}
