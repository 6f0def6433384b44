//! The built binary without a cluster: what it says to wrong input, and how it ends.

use std::process::{Command, Output, Stdio};

fn run(arguments: &[&str]) -> Output {
    run_with(arguments, &[])
}

/// With nothing of the machine's own settings but what is given.
fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_k8s-wait-for"));
    command.args(arguments).env_clear().envs(environment.iter().copied()).stdin(Stdio::null());
    command.output().expect("the binary starts")
}

#[track_caller]
fn assert_usage_error(arguments: &[&str], named: &str, right_form: &str) {
    let output = run(arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert!(output.stdout.is_empty(), "{arguments:?}: stdout is for product lines");
    assert!(text.starts_with("error: ") && text.contains(named), "{arguments:?} names {named:?}: {text}");
    let hint = text.split_once("\nhint: ").map(|(_, hint)| hint).unwrap_or_default();
    assert!(hint.contains(right_form), "{arguments:?} shows {right_form:?}: {text}");
}

#[test]
fn unknown_mode_names_near_ones() {
    assert_usage_error(&["jbos", "migrate"], "`jbos`", "job");
}

#[test]
fn missing_name_shows_the_right_form() {
    assert_usage_error(&["job-wr"], "job-wr", "job-wr");
    assert_usage_error(&[], "nothing to wait for", "`job migrate`");
}

#[test]
fn unknown_flag_is_named() {
    assert_usage_error(&["job", "migrate", "--no-headers"], "--no-headers", "--field-selector");
    assert_usage_error(&["job", "migrate", "-o", "json"], "`-o`", "`--output json`");
}

#[test]
fn bad_duration_is_named_with_right_ones() {
    assert_usage_error(&["job", "migrate", "--timeout", "abc"], "abc", "90s");
}

#[test]
fn impossible_name_is_refused_before_any_request() {
    assert_usage_error(&["job", "Migrate_1"], "Migrate_1", "`migrate-1`");
}

#[test]
fn help_goes_to_stdout_and_is_no_error() {
    let output = run(&["--help"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    for part in ["job-wr", "--timeout", "124", "K8S_WAIT_FOR_TIMEOUT", "WAIT_TIME"] {
        assert!(text.contains(part), "--help names {part}");
    }
}

#[test]
fn version_is_the_crate_s() {
    let output = run(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), concat!("k8s-wait-for ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn help_into_a_closed_pipe_is_no_panic() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_k8s-wait-for"));
    let mut child = command.arg("--help").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn no_configuration_at_all_is_said_with_a_remedy() {
    let output = run_with(&["job", "migrate"], &[("HOME", "/nonexistent")]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{text}");
    let cause =
        "cannot read /nonexistent/.kube/config: no such file or directory\nhint: name one with `--kubeconfig FILE`";
    assert!(text.contains(cause), "{text}");
}

#[test]
fn pod_without_a_token_is_a_configuration_error() {
    let environment = [("KUBERNETES_SERVICE_HOST", "127.0.0.1"), ("KUBERNETES_SERVICE_PORT", "1")];
    let output = run_with(&["job", "migrate"], &environment);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert!(text.contains("automountServiceAccountToken"), "{text}");
}

#[test]
fn named_kubeconfig_that_is_missing_is_no_silent_fall_back() {
    for environment in [&[("KUBECONFIG", "/nonexistent/config")][..], &[]] {
        let mut arguments = vec!["job", "migrate"];
        if environment.is_empty() {
            arguments.extend(["--kubeconfig", "/nonexistent/config"]);
        }
        let in_pod = [("KUBERNETES_SERVICE_HOST", "127.0.0.1"), ("KUBERNETES_SERVICE_PORT", "1")];
        let output = run_with(&arguments, &[environment, &in_pod].concat());
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{text}");
        assert!(text.contains("/nonexistent/config"), "{text}");
    }
}

#[test]
fn completions_are_a_script_that_asks_this_program() {
    let program = env!("CARGO_BIN_EXE_k8s-wait-for");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell]);
        let script = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(script.contains(program) && script.contains("_K8S_WAIT_FOR_COMPLETE"), "{shell}: {script}");
        assert!(output.stderr.is_empty() && output.status.success(), "{shell}");
    }
}

/// In the table, a candidate is what bash puts behind the last `:`, `=` or `@` that was typed.
#[test]
fn bash_completes_what_belongs_there_and_no_files() {
    let table = [
        ("cronj", "cronjob"),
        ("rb", "rbac"),
        ("comp", "completions"),
        ("completions ", "bash elvish fish powershell zsh"),
        ("--help cronj", "cronjob"),
        ("job/a data:cr", "cronjob/"),
        ("job/a data:job-w", "job-wr/ job-we/"),
        ("rbac --ser", "--service-account"),
        ("rbac --exp", "--explain"),
        ("rbac --missing ", "wait fail ready"),
        ("job a --missing=", "wait fail ready"),
        ("job a --output=j", "json"),
        ("--context ", "arn:aws:eks:eu:1:cluster/prod jane@staging"),
        ("--context arn:aws:", "eks:eu:1:cluster/prod"),
        ("--context jane@", "staging"),
        ("job a --kubeconfig src/cl", "src/cli/"),
        ("job a --kubeconfig Cargo.t", "Cargo.toml"),
        // nobody can be asked, and no file is a name
        ("job ", ""),
        ("job Cargo", ""),
        ("job/Cargo", ""),
        ("-n ", ""),
        ("-l ", ""),
        ("completions C", ""),
    ];
    for (line, expected) in table {
        assert_eq!(completed_in_bash(line), expected, "{line}");
    }
}

fn completed_in_bash(line: &str) -> String {
    let bash = r#"
        source <("$0" completions bash)
        [[ $(complete -p k8s-wait-for) == "complete -F _k8s_wait_for k8s-wait-for" ]] || echo "there are more candidates"
        COMP_LINE="k8s-wait-for $1" COMP_POINT=$((13 + ${#1}))
        _k8s_wait_for k8s-wait-for "${1##*[ :=@]}"
        echo "${COMPREPLY[*]}"
    "#;
    let kubeconfig = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/nowhere.kubeconfig");
    let mut command = Command::new("bash");
    command.args(["-c", bash, env!("CARGO_BIN_EXE_k8s-wait-for"), line]);
    let output = command.env_clear().env("KUBECONFIG", kubeconfig).stdin(Stdio::null()).output().expect("bash starts");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
    String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
}

/// `manifests/` holds what the program prints for the wait that its Deployment does, with all that explains it.
#[test]
fn role_of_the_manifests_is_the_printed_one() {
    let output = run(&["rbac", "--explain", "--service-account", "shop", "job-wr", "migrate-1.0.0"]);
    let manifest = include_str!("../manifests/rbac.yaml");
    let rules = manifest.split_once('\n').map(|(_, rest)| rest).expect("the first line says where it is from");
    assert_eq!(String::from_utf8_lossy(&output.stdout), rules);
}

/// A kubeconfig for a server that nobody is; its context is called `rig`.
fn kubeconfig(name: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("k8s-wait-for-{name}-{}", std::process::id()));
    let cluster = r#"{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}"#;
    let context = r#"{"name": "rig", "context": {"cluster": "c", "user": "u"}}"#;
    let user = r#"{"name": "u", "user": {"token": "t"}}"#;
    let text =
        format!(r#"{{"clusters": [{cluster}], "contexts": [{context}], "users": [{user}], "current-context": "rig"}}"#);
    std::fs::write(&path, text).expect("a file for a moment");
    path
}

#[test]
fn context_that_does_not_exist_is_met_with_a_near_one() {
    let path = kubeconfig("context");
    let shown = path.to_str().expect("a path in UTF-8");
    let output = run(&["job", "migrate", "--kubeconfig", shown, "--context", "rigg"]);
    std::fs::remove_file(&path).expect("the file was there");
    let text = format!(
        "error: cannot use the kubeconfig {shown}: it has no context `rigg`\nhint: did you mean `--context rig`?\n"
    );
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()), (Some(78), text));
}

/// Nothing listens there: what a pod meets whose mesh has not come up.
#[test]
fn refused_connections_in_a_pod_bring_a_hint_about_meshes_once() {
    let kubeconfig = kubeconfig("mesh");
    let path = kubeconfig.to_str().expect("a path in UTF-8");
    let said = |environment: &[(&str, &str)]| {
        let output = run_with(&["job/a", "job/b", "--timeout", "8s"], environment);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (in_pod, outside) = std::thread::scope(|scope| {
        let in_pod = scope.spawn(|| said(&[("KUBECONFIG", path), ("KUBERNETES_SERVICE_HOST", "127.0.0.1")]));
        let outside = said(&[("KUBECONFIG", path)]);
        (in_pod.join().expect("it ends"), outside)
    });
    std::fs::remove_file(&kubeconfig).expect("the file was there");
    assert_eq!(in_pod.matches("hint: connections keep being refused. In a service mesh,").count(), 1, "{in_pod}");
    let refused = "cannot reach the API server http://127.0.0.1:1 (context rig): connection refused; retrying";
    assert!(outside.contains(refused) && !outside.contains("mesh"), "{outside}");
}

/// What the README shows of the program's output is what the program prints.
#[test]
fn readme_shows_the_help_and_the_role_as_they_are() {
    let readme = include_str!("../README.md");
    let shown = [&["--help"][..], &["rbac", "job-wr", "migrate-1.0.0", "--service-account", "shop"]];
    for arguments in shown {
        let output = String::from_utf8(run(arguments).stdout).expect("UTF-8");
        let block = format!("$ k8s-wait-for {}\n{output}```\n", arguments.join(" "));
        assert!(readme.contains(&block), "the README has this block:\n{block}");
    }
}

#[test]
fn readme_has_every_mode_in_its_table() {
    let readme = include_str!("../README.md");
    let help = String::from_utf8(run(&["--help"]).stdout).expect("UTF-8");
    let (_, modes) = help.split_once("\nModes:\n").expect("the help has modes");
    let lines = modes.lines().map_while(|line| line.strip_prefix("  "));
    // A mode and what it means, or modes with commas between.
    let modes: Vec<&str> = lines.flat_map(|line| line.split("  ").next().unwrap_or_default().split(", ")).collect();
    assert!(modes.len() >= 24, "{modes:?}");
    for mode in modes.into_iter().map(|mode| mode.trim_end_matches(',')) {
        let has_it = |line: &str| line.starts_with("| `") && line.contains(&format!("`{mode}`"));
        assert!(readme.lines().any(has_it), "the README's table of modes lacks {mode}");
    }
}

#[test]
fn readme_names_tests_that_are_there() {
    let readme = include_str!("../README.md");
    let (_, section) = readme.split_once("\n## Beside its peers\n").expect("the README compares");
    let (section, _) = section.split_once("\n## ").expect("there is more after it");
    let ours = section.lines().filter_map(|line| line.trim_end_matches('|').rsplit('|').next());
    let names: Vec<&str> =
        ours.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(|it| it.contains('_')).collect();
    assert!(names.len() >= 15, "{names:?}");
    let tests = sources(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"));
    for name in names {
        assert!(tests.contains(&format!("pub fn {name}(")), "no test is called {name}");
    }
}

/// All that is written in Rust under a folder.
fn sources(folder: &str) -> String {
    let entries = std::fs::read_dir(folder).expect("it is readable").map(|entry| entry.expect("an entry").path());
    let texts = entries.map(|path| match path.extension() {
        _ if path.is_dir() => sources(path.to_str().expect("UTF-8")),
        Some(extension) if extension == "rs" => std::fs::read_to_string(&path).expect("UTF-8"),
        _ => String::new(),
    });
    texts.collect()
}

#[test]
fn readme_draws_the_tree_as_it_is() {
    let readme = include_str!("../README.md");
    let (_, drawing) = readme.split_once("```\nsrc/main.rs").expect("the README draws the tree");
    let (drawing, _) = drawing.split_once("```").expect("it has an end");
    let drawing = format!("src/main.rs{drawing}");
    let words = drawing.split([' ', ',', '\n']).filter_map(|word| word.strip_prefix("src/"));
    let mut drawn: Vec<&str> = words.map(|word| word.trim_end_matches('/')).collect();
    let entries = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).expect("src is readable");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    // Beside the program itself.
    let mut there: Vec<String> = names.filter(|name| name != "fixtures").collect();
    drawn.sort_unstable();
    there.sort_unstable();
    assert_eq!(drawn, there);
}
