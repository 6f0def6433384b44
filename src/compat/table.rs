//! The contract of the command line, row by row: what is typed, and the targets or the whole error text.
//!
//! Arguments are separated by `|`. Targets are shown as `job/a`, with their namespace as `data:job/a`, with `-A` as
//! `*:job/a`; `pod/*` is every pod.

use super::*;

fn run(line: &str, environment: &[(&str, &str)]) -> Result<Invocation, Stop> {
    let argv = std::iter::once("/usr/bin/k8s-wait-for").chain(line.split('|').filter(|_| !line.is_empty()));
    parse(argv.map(OsString::from), |name| {
        environment.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
    })
}

fn shown(outcome: Result<Invocation, Stop>) -> String {
    match outcome {
        Ok(invocation) => invocation.targets.iter().map(shown_target).collect::<Vec<_>>().join(" "),
        Err(Stop::Usage(usage)) => usage.to_string(),
        Err(Stop::Text(text)) => text,
    }
}

fn shown_target(target: &Target) -> String {
    match &target.scope {
        Scope::Default => target.to_string(),
        Scope::Namespace(namespace) => format!("{namespace}:{target}"),
        Scope::All => format!("*:{target}"),
    }
}

fn check(table: &[(&str, &str)]) {
    for (line, expected) in table {
        assert_eq!(shown(run(line, &[])), *expected, "{line}");
    }
}

#[test]
fn every_shape_gives_its_targets() {
    check(&[
        // a mode and names
        ("job|migrate", "job/migrate"),
        ("job-wr|migrate", "job/migrate"),
        ("job-we|migrate", "job-we/migrate"),
        ("pod|db-0", "pod/db-0"),
        ("pod-wr|db-0", "pod-wr/db-0"),
        ("pod-we|db-0", "pod-we/db-0"),
        ("service|backend", "service/backend"),
        ("service-wr|backend", "service-wr/backend"),
        ("service|9lives", "service/9lives"),
        ("job|x-migration-3.9.1", "job/x-migration-3.9.1"),
        ("job|a|b|c", "job/a job/b job/c"),
        ("job|a|b|a", "job/a job/b"),
        ("job|pod", "job/pod"),
        ("job|a|pod", "job/a job/pod"),
        // flags anywhere
        ("job|migrate|-n|data", "data:job/migrate"),
        ("job|migrate|-ndata", "data:job/migrate"),
        ("job|migrate|-n=data", "data:job/migrate"),
        ("-n|data|job|migrate", "data:job/migrate"),
        ("job|-n|data|migrate", "data:job/migrate"),
        ("service|backend|--namespace|syft", "syft:service/backend"),
        ("service|backend|--namespace=syft", "syft:service/backend"),
        ("--context|X|--namespace|y|job|a", "y:job/a"),
        ("job|--|a", "job/a"),
        // selectors by option
        ("pod|-lapp.kubernetes.io/component=db", "pod/app.kubernetes.io/component=db"),
        ("pod|-l=app=db", "pod/app=db"),
        ("pod-wr|-lk=v,j=w", "pod-wr/j=w,k=v"),
        ("pod|-l|app=x|-A", "*:pod/app=x"),
        ("-A|pod|--selector=app=x", "*:pod/app=x"),
        ("pod|--all-namespaces|--selector|app=x", "*:pod/app=x"),
        ("pod|-l|app in (a, b)", "pod/app in (a,b)"),
        ("pod|-lapp in (a,b),!old", "pod/app in (a,b),!old"),
        ("pod|--selector=app notin (a,b)", "pod/app notin (a,b)"),
        ("pod|-l|app", "pod/app"),
        ("pod|-l|!app", "pod/!app"),
        ("pod|-l|count>3", "pod/count>3"),
        // in the name's place
        ("pod|app=db", "pod/app=db"),
        ("pod|app=db|-A", "*:pod/app=db"),
        ("pod|app!=db,tier", "pod/app!=db,tier"),
        ("pod|!app", "pod/!app"),
        ("pod|app in (a,b)", "pod/app in (a,b)"),
        ("pod|app notin (a, b)", "pod/app notin (a,b)"),
        // an option and its value in one argument, as the script's shell split it
        ("pod|-l app=x", "pod/app=x"),
        ("pod|--selector app=x", "pod/app=x"),
        ("pod|-l app in (a, b)", "pod/app in (a,b)"),
        ("job|a|-n foo", "foo:job/a"),
        ("job|a|--namespace foo", "foo:job/a"),
        ("job|a -n foo", "foo:job/a"),
        ("pod|-l app=x -n foo", "foo:pod/app=x"),
        ("job migrate", "job/migrate"),
        ("job a b", "job/a job/b"),
        ("pod app in (a, b)", "pod/app in (a,b)"),
        ("pod\n  -l app=x\n  -n foo\n", "foo:pod/app=x"),
        ("job/a job/b\ndata:service/db", "job/a job/b data:service/db"),
        ("--any job/a job/b", "job/a job/b"),
        ("job|a|--timeout 1m 30s", "job/a"),
        // a selector in several arguments
        ("pod|-l|app in (a,|b)", "pod/app in (a,b)"),
        ("pod|-l|app|in|(a,|b)", "pod/app in (a,b)"),
        ("pod|-lapp|notin|(a|,|b)|-n|foo", "foo:pod/app notin (a,b)"),
        ("pod|--selector=app|in(a,b)", "pod/app in (a,b)"),
        ("pod|-l|app|in (a,b)", "pod/app in (a,b)"),
        ("pod|app|in|(a,b)", "pod/app in (a,b)"),
        ("pod|-l|app=x,|tier=db", "pod/app=x,tier=db"),
        ("pod|-l|app=x|,tier=db", "pod/app=x,tier=db"),
        ("pod/app|in|(a,|b)|job/c", "pod/app in (a,b) job/c"),
        ("job|in|notin", "job/in job/notin"),
        // trimmed
        ("  job |\tmigrate\n", "job/migrate"),
        ("pod|  -lapp=x\n", "pod/app=x"),
        ("pod|-l|  app=x\n", "pod/app=x"),
        ("pod|--selector= app=x", "pod/app=x"),
        ("pod|-n| data\n|app=x", "data:pod/app=x"),
        // a name that must match too
        ("job|migrate|-lrelease=7", "job/migrate -lrelease=7"),
        ("job|a|b|-l|release=7", "job/a -lrelease=7 job/b -lrelease=7"),
        ("job/migrate|-lrelease=7", "job/migrate -lrelease=7"),
        // targets
        ("job/migrate", "job/migrate"),
        ("job/migrate|service/db|pod/app=x", "job/migrate service/db pod/app=x"),
        ("data:job/migrate|job/migrate", "data:job/migrate job/migrate"),
        ("data:job/migrate|job/a|-n|other", "data:job/migrate other:job/a"),
        ("data:job/a|job/a|job-wr/a|-n|data", "data:job/a"),
        ("pod/app.kubernetes.io/name=db", "pod/app.kubernetes.io/name=db"),
        ("data:pod-wr/app in (a, b)", "data:pod-wr/app in (a,b)"),
        ("pod/!app", "pod/!app"),
        ("pod/app=x|service/app=x|-A", "*:pod/app=x *:service/app=x"),
        // every object of a kind
        ("pod|-n|kube-system", "kube-system:pod/*"),
        ("job|-A", "*:job/*"),
        ("pod|--field-selector|status.phase=Running", "pod/* --field-selector=status.phase=Running"),
        (
            "pod|--field-selector=metadata.name!=db-0,spec.nodeName==n|-lapp=db",
            "pod/app=db --field-selector=metadata.name!=db-0,spec.nodeName==n",
        ),
        ("pod/app=db|--field-selector|status.phase=Running", "pod/app=db --field-selector=status.phase=Running"),
    ]);
}

const MODES_HINT: &str = "modes: job, job-wr, job-we, pod, pod-wr, pod-we, service, service-wr";

#[test]
fn every_mistake_is_answered_with_the_right_form() {
    check(&[
        // nothing there
        (
            "",
            "nothing to wait for\nhint: `job migrate`, `pod -lapp=db` or `job/migrate service/db`; `--help` says more",
        ),
    ]);
}
