//! The contract of the command line, row by row: what is typed, and the targets or the whole error text.
//!
//! Arguments are separated by `|`. Targets are shown as `job/a`, with their namespace as `data:job/a`, with `-A` as
//! `*:job/a`; `pod/*` is every pod.

use std::collections::HashSet;

use super::*;
use crate::kinds;
use crate::target::Scope;

fn run(line: &str, environment: &[(&str, &str)]) -> Result<Command, Usage> {
    let argv = std::iter::once("/usr/bin/k8s-wait-for").chain(line.split('|').filter(|_| !line.is_empty()));
    parse(argv.map(OsString::from), |name| {
        environment.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
    })
}

fn wait(line: &str, environment: &[(&str, &str)]) -> Wait {
    match run(line, environment) {
        Ok(Command::Wait(wait)) => *wait,
        other => panic!("{line}: no wait: {other:?}"),
    }
}

/// What is printed, or the targets.
fn shown(outcome: Result<Command, Usage>) -> String {
    match outcome {
        Ok(Command::Wait(wait)) => wait.targets.iter().map(shown_target).collect::<Vec<_>>().join(" "),
        Ok(Command::Rbac(request)) => rbac::yaml(&request).unwrap_or_else(|error| error.to_string()),
        Ok(Command::Completions(shell)) => shells::script(shell, "k8s-wait-for"),
        Ok(Command::Complete(line)) => format!("{line:?}"),
        Ok(Command::Text(text)) => text,
        Err(usage) => usage.to_string(),
    }
}

fn shown_target(target: &Target) -> String {
    match &target.scope {
        Scope::Default => target.to_string(),
        Scope::Namespace(namespace) => format!("{namespace}:{target}"),
        Scope::All => format!("*:{target}"),
        Scope::Cluster => format!("-:{target}"),
    }
}

const SHAPES: &[(&str, &str)] = &[
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
    ("job|a|b|a", "job/a job/b job/a"),
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
    ("pod|-l|app", "pod/-lapp"),
    ("pod|-l|!app", "pod/!app"),
    ("pod|-l|count>3", "pod/count>3"),
    // in the name's place
    ("pod|app=db", "pod/app=db"),
    ("pod|app=db|-A", "*:pod/app=db"),
    ("pod|app!=db,tier", "pod/app!=db,tier"),
    ("pod|!app", "pod/!app"),
    ("pod|app in (a,b)", "pod/app in (a,b)"),
    ("pod|app notin (a, b)", "pod/app notin (a,b)"),
    // a label that is called as a mode is
    ("pod|service in (db,web)", "pod/service in (db,web)"),
    ("pod service in (db,web)", "pod/service in (db,web)"),
    ("pod|service|in|(db,|web)", "pod/service in (db,web)"),
    ("pod/service in (db, web)|job/a", "pod/service in (db,web) job/a"),
    ("pod|-l|service in (db,web)", "pod/service in (db,web)"),
    ("job|pod notin (a)", "job/pod!=a"),
    ("pod|service = db", "pod/service=db"),
    ("pod|job=x", "pod/job=x"),
    ("pod|job != x", "pod/job!=x"),
    ("pod !job", "pod/!job"),
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
    // kubectl's words
    ("jobs|migrate", "job/migrate"),
    ("Job|migrate", "job/migrate"),
    ("JOBS-WE/migrate", "job-we/migrate"),
    ("job.batch/migrate", "job/migrate"),
    ("jobs.v1.batch|migrate", "job/migrate"),
    ("pods|-lapp=x", "pod/app=x"),
    ("po-wr/app=x", "pod-wr/app=x"),
    ("svc|db", "service/db"),
    ("svc-wr|db", "service-wr/db"),
    ("ns:jobs/a", "ns:job/a"),
    ("deployment|web", "deployment/web"),
    ("deployment/web", "deployment/web"),
    ("deploy/web|deployments.apps/api|Deployment.v1.apps/db", "deployment/web deployment/api deployment/db"),
    ("statefulset/web|sts/db", "statefulset/web statefulset/db"),
    ("ds|proxy|-n|kube-system", "kube-system:daemonset/proxy"),
    ("rs/a|rc/b|cj/c", "replicaset/a replicationcontroller/b cronjob/c"),
    ("cm/a|secrets/b|sa/c|pvc/d|ing/e", "configmap/a secret/b serviceaccount/c pvc/d ingress/e"),
    ("persistentvolumeclaim|data", "pvc/data"),
    ("ns/shop|no/node-1|-n|data", "-:namespace/shop -:node/node-1"),
    ("crd/widgets.example.com|apiservice/v1.example.com", "-:crd/widgets.example.com -:apiservice/v1.example.com"),
    ("node|-A", "-:node/*"),
    // kinds that only the cluster knows
    ("endpoints/web", "endpoints/web"),
    ("shop:endpoints/web|job/a", "shop:endpoints/web job/a"),
    ("Theme.example.com/dark", "theme.example.com/dark"),
    ("themes.v1beta1.example.com|dark|light", "themes.v1beta1.example.com/dark themes.v1beta1.example.com/light"),
    ("theme.example.com|-lapp=x|-A", "*:theme.example.com/app=x"),
    ("theme/dark", "theme/dark"),
    ("job.v2.batch/migrate", "job.v2.batch/migrate"),
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
    ("data:job/a|job/a|job-wr/a|-n|data", "data:job/a data:job/a data:job/a"),
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
];

#[test]
fn every_shape_gives_its_targets() {
    for (line, expected) in SHAPES {
        assert_eq!(shown(run(line, &[])), *expected, "{line}");
    }
}

const DEMANDS: &[(&str, &str)] = &[
    ("pod|a|--for|condition=Ready", "pod/a: condition=Ready"),
    ("--for=delete|pod|a", "pod/a: delete"),
    ("pod|a|--for condition=Ready=false", "pod/a: condition=Ready=false"),
    ("pod|a|--for|CREATE|--for|Condition=ready=TRUE", "pod/a: create and condition=ready"),
    ("pod/a|deploy/b|--for|create", "pod/a: create, deployment/b: create"),
    ("theme.example.com/dark|--for|condition=hello=world", "theme.example.com/dark: condition=hello=world"),
    ("pod|a|--for|jsonpath={.spec.a}", "pod/a: jsonpath={.spec.a}"),
    ("pod|a|--for|jsonpath=a", "pod/a: jsonpath={.a}"),
    ("pod|a|--for|jsonpath=.spec.a=b-7", "pod/a: jsonpath={.spec.a}=b-7"),
    (
        "pod|a|--for|jsonpath={.status.items[?(@.name==\"b\")].ready}=True",
        "pod/a: jsonpath={.status.items[?(@.name==\"b\")].ready}=True",
    ),
    (
        "pod|a|--for|jsonpath=status.items[?(@.name==\"b\")].ready",
        "pod/a: jsonpath={.status.items[?(@.name==\"b\")].ready}",
    ),
    (
        "pod|a|--for|condition=Ready|--for|jsonpath={.status.phase}=Running",
        "pod/a: condition=Ready and jsonpath={.status.phase}=Running",
    ),
    // no shell has taken the quotes away
    ("pod|a|--for=jsonpath='{.status.phase}'=Running", "pod/a: jsonpath={.status.phase}=Running"),
    // in the order in which they were typed
    ("pod|a|--for|condition=A|--for|condition=B|--or-for|delete", "pod/a: condition=A and condition=B or delete"),
    ("pod|a|--for|condition=A|--or-for|delete|--or-for|condition=B", "pod/a: condition=A or delete or condition=B"),
    ("--or-for|condition=A|pod|a|--for|condition=B", "pod/a: condition=A and condition=B"),
    ("pod|a|--for|delete|--or-for|create|--for|condition=B", "pod/a: delete or create and condition=B"),
    // it is a plain `job`
    ("job-wr|a|--for|condition=Complete", "job/a: condition=Complete"),
    ("secret/tls|cm/b|--key|a|--key|b", "secret/tls: --key a --key b, configmap/b: --key a --key b"),
    // for those that take it
    ("secret/tls|job/a|svc/db|--key|k|--by|endpoints", "secret/tls: --key k, job/a: , service/db: --by endpoints"),
    ("service/db|--by|endpoints|--min|2", "service/db: --by endpoints"),
    ("svc/db|--by|LOAD-BALANCER", "service/db: --by load-balancer"),
    ("svc/db|--by|pods", "service/db: "),
];

#[test]
fn demands_are_read_in_their_order() {
    let shown = |target: &Target| format!("{}: {}", shown_target(target), target.demand);
    for (line, expected) in DEMANDS {
        let all: Vec<String> = wait(line, &[]).targets.iter().map(shown).collect();
        assert_eq!(all.join(", "), *expected, "{line}");
    }
    let treated = wait("pod|a|--for|create", &[("TREAT_ERRORS_AS_READY", "2")]);
    assert_eq!(treated.targets.iter().map(shown).collect::<Vec<_>>(), ["pod/a: create"], "meant for other waits");
}

/// What many hints have in common.
const COMMON: [(&str, &str); 12] = [
    ("$KINDS", "$MODES; other kinds: `KIND/NAME` or `KIND.GROUP NAME`"),
    ("$GOALS", "`--for condition=Ready`, `--for jsonpath='{.status.phase}'=Running`, `--for create` or `--for delete`"),
    ("$BY", "`service/db --by endpoints`, `--by load-balancer` or `--by pods`"),
    ("$SHELLS", "`completions bash`, `zsh`, `fish`, `elvish` or `powershell`"),
    ("$SELECTORS", "`-l app=db`, `-l 'app in (db,cache)'` or `-l app=db,tier!=web`"),
    ("$TIMES", "`90s`, `5m`, `1h30m` or a number of seconds"),
    ("$KUBECTL", "kubectl options that work here: -n, -A, -l, --field-selector, --context and --kubeconfig"),
    ("$WHO", "a kubeconfig context sets the server and the user: `--context production`"),
    ("$EXPANDED", "only $(NAME) is expanded in `args:`, and only for a variable under `env:` of the same container"),
    ("$GIVEN", "is a variable unset? set it, or leave out the argument"),
    (
        "$FIELDS",
        "`--field-selector status.phase=Running` or `--field-selector metadata.name!=db-0,spec.nodeName=node-1`",
    ),
    ("$EXAMPLES", "`job migrate`, `pod -lapp=db` or `job/migrate service/db`"),
];

const MISTAKES: &[(&str, &str, &str)] = &[
    ("job", "`job` needs a name or a selector", "`job NAME`, `job -lapp=db`, or `job -n NAMESPACE` for all of them"),
    (
        "pod-wr",
        "`pod-wr` needs a name or a selector",
        "`pod-wr NAME`, `pod-wr -lapp=db`, or `pod-wr -n NAMESPACE` for all of them",
    ),
    ("job/", "`job/` needs a name or a selector", "`job/NAME`, `job/app=db`, or `job -n NAMESPACE` for all of them"),
    (
        "data:pod/",
        "`data:pod/` needs a name or a selector",
        "`data:pod/NAME`, `data:pod/app=db`, or `pod -n NAMESPACE` for all of them",
    ),
    ("job-rw|migrate", "unknown mode `job-rw`", "did you mean `job-wr`? $KINDS"),
    ("migrate.v3|-n|data", "unknown mode `migrate.v3`", "$EXAMPLES; $KINDS"),
    ("migrate", "unknown mode `migrate`", "$EXAMPLES; $KINDS"),
    ("migrate|-n|data", "unknown mode `migrate`", "$EXAMPLES; $KINDS"),
    ("help", "unknown mode `help`", "did you mean `--help`? $KINDS"),
    ("rbac", "nothing to wait for", "$EXAMPLES; `--help` says more"),
    ("rbac|jib|a", "unknown mode `jib`", "did you mean `job`? $KINDS"),
    (
        "rbac|job|a|--service-account|A_b",
        "`--service-account`: `A_b` may contain only lower case letters, digits, `-` and `.`, not `A`",
        "`--service-account shop` or `--service-account shop:shop`",
    ),
    (
        "rbac|data:job/a",
        "the Role also covers other namespaces, so the binding needs the namespace of the service account",
        "`--service-account NAMESPACE:default`",
    ),
    ("completions", "`completions` takes the name of a shell", "$SHELLS"),
    ("completions|tcsh", "no completions for `tcsh`", "$SHELLS"),
    ("app=x", "`app=x` has no mode before it", "`pod -l 'app=x'`; $MODES"),
    (
        "app.kubernetes.io/name=x",
        "`app.kubernetes.io/name=x` has no mode before it",
        "`pod -l 'app.kubernetes.io/name=x'`; $MODES",
    ),
    ("!app", "`!app` has no mode before it", "`pod -l '!app'`; $MODES"),
    ("/migrate", "unknown mode `/migrate`", "$EXAMPLES; $KINDS"),
    ("data:/a", "unknown mode `data:/a`", "$EXAMPLES; $KINDS"),
    ("data/job/a", "unknown mode `data`", "`data:job/a`"),
    (":job/a", "`:job/a` begins with `:`", "`job/a`"),
    (
        "Data:job/a",
        "`Data` is not a valid namespace name: it may contain only lower case letters, digits and `-`, not `D`",
        "did you mean `data`?",
    ),
    (
        "job|data:migrate",
        "`data:migrate` is not a valid Job name: it may contain only lower case letters, digits, `-` and `.`, not `:`",
        "give the namespace with `-n`: `job migrate -n data`",
    ),
    (
        "job|data/migrate",
        "`data/migrate` is not a valid Job name: it may contain only lower case letters, digits, `-` and `.`, not `/`",
        "give the namespace with `-n`: `job migrate -n data`",
    ),
    (
        "job/data/migrate",
        "`data/migrate` is not a valid Job name: it may contain only lower case letters, digits, `-` and `.`, not `/`",
        "give the namespace with `-n`: `job migrate -n data`",
    ),
    (
        "job|a,b",
        "`a,b` is not a valid Job name: it may contain only lower case letters, digits, `-` and `.`, not `,`",
        "spaces instead of commas: `job a b`",
    ),
    (
        "job|a,|b",
        "`a, b` is not a valid Job name: it may contain only lower case letters, digits, `-` and `.`, not `,`",
        "spaces instead of commas: `job a b`",
    ),
    (
        "job/a,b",
        "`a,b` is not a valid Job name: it may contain only lower case letters, digits, `-` and `.`, not `,`",
        "spaces instead of commas: `job a b`",
    ),
    (
        "job/a,job/b",
        "`a,job/b` is not a valid Job name: it may contain only lower case letters, digits, `-` and `.`, not `,`",
        "spaces instead of commas: `job/a job/b`",
    ),
    (
        "job|My_Job",
        "`My_Job` is not a valid Job name: it may contain only lower case letters, digits, `-` and `.`, not `M`",
        "did you mean `my-job`?",
    ),
    (
        "job|MyJob|-n|data",
        "`MyJob` is not a valid Job name: it may contain only lower case letters, digits, `-` and `.`, not `M`",
        "did you mean `myjob`?",
    ),
    (
        "job|*",
        "`*` is not a valid Job name: it may contain only lower case letters, digits, `-` and `.`, not `*`",
        "`job -n NAMESPACE` for all of them",
    ),
    (
        "job/*",
        "`*` is not a valid Job name: it may contain only lower case letters, digits, `-` and `.`, not `*`",
        "`job -n NAMESPACE` for all of them",
    ),
    ("pod|-app", "unknown option `-a`", "$KUBECTL"),
    ("job|a.", "`a.` is not a valid Job name: it must begin and end with a letter or digit", "as in `job migrate-v3`"),
    (
        "service|db.data",
        "`db.data` is not a valid Service name: it may contain only lower case letters, digits and `-`, not `.`",
        "give the namespace with `-n`: `service db -n data`",
    ),
    (
        "service|db.data.svc.cluster.local",
        "`db.data.svc.cluster.local` is not a valid Service name: it may contain only lower case letters, digits and `-`, not `.`",
        "give the namespace with `-n`: `service db -n data`",
    ),
    (
        "service/db.data",
        "`db.data` is not a valid Service name: it may contain only lower case letters, digits and `-`, not `.`",
        "give the namespace with `-n`: `service db -n data`",
    ),
    ("service|-db", "unknown option `-d`", "$KUBECTL"),
    (
        "job|migrate|service/db",
        "`service/db` already names its mode",
        "leave out the first mode: `job/migrate service/db`",
    ),
    ("job|job/migrate", "`job/migrate` already names its mode", "leave out the first mode: `job/migrate`"),
    (
        "job|migrate|data:service/db",
        "`data:service/db` already names its mode",
        "leave out the first mode: `job/migrate data:service/db`",
    ),
    ("pod|pod/x=y", "`pod/x=y` already names its mode", "leave out the first mode: `pod/x=y`"),
    ("job/migrate|pod", "`pod` is not MODE/NAME or MODE/SELECTOR", "as in `pod/NAME`"),
    ("job/migrate|b", "`b` is not MODE/NAME or MODE/SELECTOR", "as in `job/b`"),
    ("job/migrate|app=x", "`app=x` is not MODE/NAME or MODE/SELECTOR", "as in `job/app=x`"),
    ("job|a|pod|b", "`pod` is a second mode", "to mix kinds, write targets: `job/a pod/b`"),
    ("job|a|b|pod|app=x", "`pod` is a second mode", "to mix kinds, write targets: `job/a job/b pod/app=x`"),
    (
        "pod|a|app=x",
        "`app=x` must be the only argument after the mode",
        "for several targets: `pod/a pod/app=x`; for a name and a selector: `pod NAME -l 'app=x'`",
    ),
    (
        "pod|app=x|tier=db",
        "`app=x` must be the only argument after the mode",
        "for several targets: `pod/app=x pod/tier=db`; for a name and a selector: `pod NAME -l 'app=x'`",
    ),
    (
        "pod|app=x|-l|tier=db",
        "`app=x` and `-l` are two selectors",
        "join all requirements with commas: `-l 'app=x,tier=db'`",
    ),
    (
        "pod/app=x|-l|tier=db",
        "`app=x` and `-l` are two selectors",
        "join all requirements with commas: `-l 'app=x,tier=db'`",
    ),
    ("pod|-l|a|-l|b=c", "`-l` is given more than once", "join all requirements with commas: `-l 'a,b=c'`"),
    ("pod|-l|app=x|-A|-A", "`--all-namespaces` is given twice", "give it once"),
    ("job|a|-n|b|-n|c", "`--namespace` is given twice", "give it once"),
    (
        "job|a|-A",
        "`a` with `-A`: a name belongs to one namespace",
        "`job a -n NAMESPACE`, or a selector with `-A`: `job -lapp=db -A`",
    ),
    (
        "job/a|-A",
        "`a` with `-A`: a name belongs to one namespace",
        "`job a -n NAMESPACE`, or a selector with `-A`: `job -lapp=db -A`",
    ),
    ("data:job/a|-A", "`data:job/a` names a namespace, but `-A` means all of them", "leave out `-A`, or the `data:`"),
    ("job|a|-n|data|-A", "`-n data` and `-A` conflict", "`-n data` for this namespace, `-A` for all of them"),
    (
        "job|a|--field-selector|status.successful=1",
        "`a` with `--field-selector`: a name already selects one object",
        "`job --field-selector metadata.name=a,status.successful=1`",
    ),
    ("pod|--field-selector|Running", "`Running` is not a field selector", "$FIELDS"),
    ("pod|--field-selector|=Running", "`=Running` is not a field selector", "$FIELDS"),
    ("job|", "argument 2 is empty", "$GIVEN"),
    ("job| ", "argument 2 is empty", "$GIVEN"),
    ("", "nothing to wait for", "$EXAMPLES; `--help` says more"),
    ("pod|-l|", "argument 3 is empty", "$GIVEN"),
    ("pod|-n|", "argument 3 is empty", "$GIVEN"),
    ("pod|--selector=", "`--selector` needs a value", "$SELECTORS"),
    ("pod|--selector= ", "`--selector` needs a value", "$SELECTORS"),
    ("pod|-l|app in (a,b", "`app in (a,b` is not a label selector: expected `,` or `)` at the end", "$SELECTORS"),
    ("pod|-l|app in (a", "`app in (a` is not a label selector: expected `,` or `)` at the end", "$SELECTORS"),
    ("pod|app in (", "`app in (` is not a label selector: expected `,` or `)` at the end", "$SELECTORS"),
    ("pod|-l|=x", "`=x` is not a label selector: expected a label key, found `=x`", "$SELECTORS"),
    ("pod|-l|app=x,", "`app=x,` is not a label selector: expected a label key at the end", "$SELECTORS"),
    (
        "pod|-lapp=\"x\"",
        "`app=\"x\"` is not a label selector: the value `\"x\"` may contain only letters, digits, `-`, `_` and `.`, not `\"`",
        "without quotes: `app=x`",
    ),
    (
        "pod|-l 'app=x'",
        "`'app=x'` is not a label selector: the key `'app` may contain only letters, digits, `-`, `_` and `.`, not `'`",
        "without quotes: `app=x`",
    ),
    ("pod|-l|app=x y", "`app=x y` is not a label selector: expected `,` between requirements, found `y`", "$SELECTORS"),
    (
        "pod|-l|app=a/b",
        "`app=a/b` is not a label selector: the value `a/b` may contain only letters, digits, `-`, `_` and `.`, not `/`",
        "$SELECTORS",
    ),
    (
        "pod|app=x|-n|Data",
        "`Data` is not a valid namespace name: it may contain only lower case letters, digits and `-`, not `D`",
        "did you mean `data`?",
    ),
    (
        "pod|-n|a.b|-lapp=x",
        "`a.b` is not a valid namespace name: it may contain only lower case letters, digits and `-`, not `.`",
        "as in `-n kube-system`",
    ),
    (
        "pod|-n|kube system",
        "`kube system` is not a valid namespace name: it may contain only lower case letters, digits and `-`, not ` `",
        "did you mean `kube-system`?",
    ),
    ("job|migrate-$(REVISION)", "`migrate-$(REVISION)` was not expanded", "$EXPANDED"),
    ("job|migrate-${REVISION}", "`migrate-${REVISION}` was not expanded", "$EXPANDED"),
    ("job|{{ .Release.Name }}-migrate", "`{{ .Release.Name }}-migrate` was not expanded", "$EXPANDED"),
    ("job|a|--as|admin", "unknown option `--as`", "$WHO"),
    ("job|a|--as=system:admin", "unknown option `--as`", "$WHO"),
    ("job|a|--server|x", "unknown option `--server`", "$WHO"),
    ("job|a|-o|json", "unknown option `-o`", "did you mean `--output json`?"),
    ("job|a|-ojson", "unknown option `-o`", "did you mean `--output json`?"),
    ("job|a|-o=wide", "unknown option `-o`", "did you mean `--output json`?"),
    ("job|a|--output=wide", "`--output`: `wide` is not one of its values", "`plain` or `json`"),
    ("job|a|-w", "unknown option `-w`", "leave it out: waiting is the default, and changes are printed"),
    ("job|a|--watch=true", "unknown option `--watch`", "leave it out: waiting is the default, and changes are printed"),
    ("-f|job.yaml", "unknown option `-f`", "name the objects: `job/migrate service/db`"),
    ("pod|--all", "unknown option `--all`", "`pod -n NAMESPACE` for all of them"),
    ("job|a|-v=6", "unknown option `-v`", "`--log-level debug`"),
    ("job|a|--no-headers", "unknown option `--no-headers`", "$KUBECTL"),
    ("job|a|--timout|5m", "unknown option `--timout`", "did you mean `--timeout`? $KUBECTL"),
    ("job|a|--time-out=5", "unknown option `--time-out`", "did you mean `--timeout`? $KUBECTL"),
    ("job|a|-namespace|data", "unknown option `-namespace`", "did you mean `--namespace`?"),
    ("job|a|-timeout=5", "unknown option `-timeout=5`", "did you mean `--timeout=5`?"),
    ("job|a|--timeout", "`--timeout` needs a value", "$TIMES"),
    ("job|a|--timeout|abc", "`--timeout`: `abc` is not a time", "$TIMES"),
    ("job|a|--timeout|-5", "`--timeout`: `-5` is not a time", "leave it out to wait for as long as it takes"),
    ("job|a|--timeout=-1s", "`--timeout`: `-1s` is not a time", "leave it out to wait for as long as it takes"),
    ("job|a|--timeout|5 min 3", "`--timeout`: `5 min 3` is not a time", "$TIMES"),
    ("job|a|--timeout|1e9", "`--timeout`: `1e9` is not a time", "$TIMES"),
    ("job|a|--timeout|inf", "`--timeout`: `inf` is not a time", "$TIMES"),
    ("job|a|--timeout|99999999999999999999", "`--timeout`: `99999999999999999999` is not a time", "$TIMES"),
    ("job|a|--timeout|99999999999", "`--timeout`: `99999999999` is too long", "$TIMES"),
    ("job|a|--timeout|1000y", "`--timeout`: `1000y` has a unit longer than days", "$TIMES"),
    ("job|a|--timeout|5M", "`--timeout`: `5M` has a unit longer than days", "$TIMES"),
    ("job|a|--settle=1week", "`--settle`: `1week` has a unit longer than days", "$TIMES"),
    ("job|a|--settle|soon", "`--settle`: `soon` is not a time", "$TIMES"),
    ("job|a|--auth-grace|x", "`--auth-grace`: `x` is not a time", "$TIMES"),
    ("job|a|--missing|maybe", "`--missing`: `maybe` is not one of its values", "`wait`, `fail` or `ready`"),
    ("job|a|--missing", "`--missing` needs a value", "`wait`, `fail` or `ready`"),
    (
        "pod|db-0|--missing|ready",
        "`--missing ready` does not apply to `pod/db-0`",
        "only a plain wait for Jobs takes it: leave it out, or wait for the Jobs in a separate command",
    ),
    (
        "job/a|service/db|--missing=ready",
        "`--missing ready` does not apply to `service/db`",
        "only a plain wait for Jobs takes it: leave it out, or wait for the Jobs in a separate command",
    ),
    (
        "job|-lapp=db|--missing=fail",
        "`--missing fail` needs a target with a name",
        "matches of a selector may appear at any time: `job migrate --missing fail`, or a selector with `--timeout`",
    ),
    ("job|a|--failed|never", "`--failed`: `never` is not one of its values", "`exit` or `wait`"),
    (
        "job|a|--log-level|loud",
        "`--log-level`: `loud` is not one of its values",
        "`error`, `warn`, `info`, `debug` or `trace`",
    ),
    ("job|a|--output|yaml", "`--output`: `yaml` is not one of its values", "`plain` or `json`"),
    ("job|a|--color", "`--color` needs a value", "`auto`, `always` or `never`"),
    ("job|a|--log-format|xml", "`--log-format`: `xml` is not one of its values", "`text` or `json`"),
    ("job|a|--quiet=1", "`--quiet` takes no value", "write `--quiet` alone"),
    ("job|a|--any=yes", "`--any` takes no value", "write `--any` alone"),
    ("pod|-lapp=x|--min|0", "`--min`: `0` is not a whole number of at least 1", "a whole number, 1 or more"),
    ("pod|-lapp=x|--min|-1", "`--min`: `-1` is not a whole number of at least 1", "a whole number, 1 or more"),
    ("pod|-lapp=x|--min|few", "`--min`: `few` is not a whole number of at least 1", "a whole number, 1 or more"),
    ("job|a|--min|2", "`--min` counts the matches of a selector; a name is one object", "`pod -lapp=db --min 3`"),
    ("job/a|job/b|--min|2", "`--min` counts the matches of a selector; a name is one object", "`pod -lapp=db --min 3`"),
    ("job|a|-n", "`--namespace` needs a value", "`-n kube-system`"),
    ("job|a|--context", "`--context` needs a value", "`--context production`"),
    ("job|a|--timeout|5|--timeout|6", "`--timeout` is given twice", "give it once"),
    (
        "job|\"migrate\"",
        "`\"migrate\"` is not a valid Job name: it may contain only lower case letters, digits, `-` and `.`, not `\"`",
        "as in `job migrate-v3`",
    ),
    ("job|{{ x }}", "`{{ x }}` was not expanded", "$EXPANDED"),
    ("-lapp=x", "nothing to wait for", "$EXAMPLES; `--help` says more"),
    ("-n|data", "nothing to wait for", "$EXAMPLES; `--help` says more"),
    ("job|a|--selector", "`--selector` needs a value", "$SELECTORS"),
    ("pod|app in (a,b|-n|data", "`app in (a,b` is not a label selector: expected `,` or `)` at the end", "$SELECTORS"),
    ("pod|(a)", "`(a)` is not a label selector: expected a label key, found `(a)`", "$SELECTORS"),
    // what is demanded
    ("job|a|--for", "`--for` needs a value", "$GOALS"),
    ("job|a|--for=", "`--for` needs a value", "$GOALS"),
    ("job|a|--for|Ready", "`--for`: `Ready` is no condition", "$GOALS"),
    ("job|a|--for|phase=Running", "`--for`: `phase=Running` is no condition", "$GOALS"),
    ("job|a|--or-for|deleted", "`--or-for`: `deleted` is no condition", "$GOALS"),
    ("job|a|--for|condition=", "`--for`: `condition=` names no condition", "$GOALS"),
    ("job|a|--for|condition==True", "`--for`: `condition==True` names no condition", "$GOALS"),
    ("job|a|--for|condition=Ready=", "`--for`: `condition=Ready=` has an empty status", "$GOALS"),
    ("job|a|--for|jsonpath=", "`--for`: `jsonpath=` ends where a name belongs", "$GOALS"),
    ("job|a|--for|jsonpath={.spec.a}=", "`--for`: `jsonpath={.spec.a}=` has no value after `=`", "$GOALS"),
    ("job|a|--for|jsonpath={.spec.a}='b=c'", "`--for`: `jsonpath={.spec.a}='b=c'` has more than one `=`", "$GOALS"),
    ("job|a|--for|jsonpath={=True", "`--for`: `jsonpath={=True` has `=` where a name belongs", "$GOALS"),
    (
        "job|a|--for=jsonpath={range .spec.items[*]}{.name} {end}=x",
        "`--for`: `jsonpath={range .spec.items[*]}{.name} {end}=x` has `{` where `=` or the end belongs",
        "$GOALS",
    ),
    (
        "job|a|--for|delete|--for|create",
        "`delete and create` can never be true",
        "for alternatives: `--for condition=Ready --or-for delete`",
    ),
    (
        "pod|a|--for|create|--or-for|condition=Ready|--for|delete",
        "`condition=Ready and delete` can never be true",
        "for alternatives: `--for condition=Ready --or-for delete`",
    ),
    (
        "pod-wr|db-0|--for|condition=Ready",
        "`pod-wr` and `--for` both set the condition",
        "`pod` with `--for`, or `pod-wr` without; `--or-for` adds an alternative",
    ),
    (
        "job/a|jobs-we/b|--or-for|condition=Failed",
        "`jobs-we` and `--for` both set the condition",
        "`job` with `--for`, or `jobs-we` without; `--or-for` adds an alternative",
    ),
    (
        "svc-wr|db|--for|create",
        "`svc-wr` and `--for` both set the condition",
        "`service` with `--for`, or `svc-wr` without; `--or-for` adds an alternative",
    ),
    (
        "pod|db-0|--key|tls.crt",
        "`pod` does not take `--key`",
        "`--key` is for configmap and secret: `secret/tls --key tls.crt`",
    ),
    (
        "theme.example.com/dark|job/a|--key|a",
        "`theme.example.com` does not take `--key`",
        "`--key` is for configmap and secret: `secret/tls --key tls.crt`",
    ),
    ("secret|tls|--key", "`--key` needs a value", "`secret/tls --key tls.crt`"),
    (
        "secret|tls|--key|a,b",
        "`--key`: `a,b` may contain only letters, digits, `-`, `_` and `.`, not `,`",
        "`secret/tls --key tls.crt`",
    ),
    (
        "svc-wr|db|--by|load-balancer",
        "`svc-wr` and `--by load-balancer` both set the condition",
        "`service` with `--by load-balancer`, or `svc-wr` without",
    ),
    ("deploy/web|--by|endpoints", "`deployment` does not take `--by`", "`--by` is for service: $BY"),
    ("pod|-lapp=db|--by|pods", "`pod` does not take `--by`", "`--by` is for service: $BY"),
    ("svc|db|--by|dns", "`--by`: `dns` is not one of its values", "$BY"),
    ("service|db|--by|endpoints|--by|pods", "`--by` is given twice", "give it once"),
    (
        "service|db|--by|endpoints|--for|create",
        "`--for` and `--by` both set the condition",
        "use one of them: $GOALS, or $BY",
    ),
    (
        "secret|tls|--key|tls.crt|--for|create",
        "`--for` and `--key` both set the condition",
        "use one of them: $GOALS, or `secret/tls --key tls.crt`",
    ),
    (
        "job|a|--for|create|--missing|ready",
        "`--missing ready` does not apply to `job/a`",
        "only a plain wait for Jobs takes it: leave it out, or wait for the Jobs in a separate command",
    ),
    (
        "pod|--for|condition=Ready",
        "`pod` needs a name or a selector",
        "`pod NAME`, `pod -lapp=db`, or `pod -n NAMESPACE` for all of them",
    ),
    (
        "theme.example.com/|--for|delete",
        "`theme.example.com/` needs a name or a selector",
        "`theme.example.com/NAME`, `theme.example.com/app=db`, or `theme.example.com -n NAMESPACE` for all of them",
    ),
    ("theme.example.com|--for|delete", "unknown mode `theme.example.com`", "$EXAMPLES; $KINDS"),
    ("theme|dark|--for|create", "unknown mode `theme`", "$EXAMPLES; $KINDS"),
    ("data:node/a", "`data:node/a`: kind node is not namespaced", "`node/a`, without `data:`"),
    (
        "rbac|endpoints/web",
        "`rbac` does not ask the cluster, and `endpoints` is not a built-in kind",
        "with its group, as `kubectl api-resources` shows it: `endpoints.GROUP/NAME`",
    ),
    ("job|-|a", "`-` is not a valid Job name: it must begin and end with a letter or digit", "as in `job migrate-v3`"),
];

fn whole(hint: &str) -> String {
    let modes: Vec<&str> = kinds::modes().map(|mode| mode.word).collect();
    let hint = COMMON.iter().fold(hint.to_owned(), |hint, (name, text)| hint.replace(name, text));
    hint.replace("$MODES", &format!("modes: {}", modes.join(", ")))
}

#[test]
fn every_mistake_is_answered_with_the_right_form() {
    for (line, problem, hint) in MISTAKES {
        assert_eq!(shown(run(line, &[])), format!("{problem}\nhint: {}", whole(hint)), "{line}");
    }
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_not_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let argv = [b"k8s-wait-for".to_vec(), b"job".to_vec(), b"migr\xffte".to_vec()].map(OsString::from_vec);
    let error = "argument 2 is not UTF-8: `migr\u{fffd}te`\nhint: names and labels are plain ASCII";
    assert_eq!(shown(parse(argv, |_| None)), error);
}

#[test]
fn control_characters_of_an_argument_do_not_reach_the_terminal() {
    let error = shown(run("job|a\u{1b}[31mb", &[]));
    assert!(error.starts_with("`a\u{fffd}[31mb` is not a valid Job name"), "{error}");
}

#[test]
fn mistyped_variables_are_told() {
    let names = [
        "K8S_WAIT_FOR_TIMEOT",
        "K8S_WAIT_FOR_SETTLE",
        "K8S_WAIT_FOR_SERVICE_HOST",
        "K8S_WAIT_FOR_PORT_80_TCP",
        "K8S_WAIT_FOR_SOMETHING",
        "PATH",
    ];
    let told = unread(names.map(str::to_owned).into_iter());
    let expected = [
        "ignoring unknown variable K8S_WAIT_FOR_TIMEOT; did you mean K8S_WAIT_FOR_TIMEOUT?",
        "ignoring unknown variable K8S_WAIT_FOR_SOMETHING",
    ];
    assert_eq!(told, expected);
}

#[test]
fn role_for_an_account_elsewhere_is_for_the_namespace_that_it_waits_in() {
    let yaml = shown(run("rbac|job/migrate|data:pod/db-0|--service-account|shop:web", &[]));
    assert!(yaml.contains("name: \"k8s-wait-for-web\"\n  namespace: \"shop\"\n"), "{yaml}");
    assert!(yaml.contains("name: \"k8s-wait-for-shop-web\"\n  namespace: \"data\"\n"), "{yaml}");
    assert!(!yaml.contains("name: \"k8s-wait-for-web\"\nrules"), "no Role without a namespace: {yaml}");
}

#[test]
fn json_is_wanted_even_by_a_line_that_cannot_be_read() {
    let wants = |line: &str, variable: Option<&str>| {
        let argv: Vec<OsString> = line.split('|').map(OsString::from).collect();
        wants_json(&argv, |name| variable.filter(|_| name == "K8S_WAIT_FOR_OUTPUT").map(str::to_owned))
    };
    for line in ["x|jib|--output|json", "x|--output=JSON|job", "x|job a --output json", "x|job|--output json|--wat"] {
        assert!(wants(line, None), "{line}");
    }
    assert!(wants("x|job", Some(" json\n")) && !wants("x|--output=plain|job", Some("json")));
    assert!(!wants("x|json", None) && !wants("x|job|--output", None));
}

#[test]
fn options_without_a_word_have_their_defaults() {
    let wait = wait("job|a", &[]);
    let rules = Rules {
        quorum: Quorum::All,
        missing: Missing::Wait,
        failed: Failed::Exit,
        timeout: None,
        auth_grace: Duration::from_mins(1),
        settle: Duration::from_secs(2),
        min: 1,
        poll_pause: None,
    };
    let speech = Speech {
        form: Form::Plain,
        quiet: false,
        events: false,
        no_logs: false,
        color: Color::Auto,
        log_level: LogLevel::Info,
        log_format: LogFormat::Text,
        warnings: Vec::new(),
    };
    assert_eq!((wait.rules, wait.speech), (rules, speech));
    assert_eq!(wait.cluster, Cluster { kubeconfig: None, context: None });
}

#[test]
fn options_are_taken_from_the_line_before_the_environment() {
    let typed = "pod/db-0|pod/app=x|--failed=WAIT|--timeout|5m|--auth-grace=0|--missing=fail|--settle|0.5|--min|3|--any|--log-level|WARN\
                 |--output|json|--color|never|--log-format=json|--context|c|--kubeconfig|/k";
    let variables = [
        ("K8S_WAIT_FOR_TIMEOUT", "90"),
        ("K8S_WAIT_FOR_AUTH_GRACE", "10s"),
        ("K8S_WAIT_FOR_MISSING", "Ready"),
        ("K8S_WAIT_FOR_FAILED", "wait"),
        ("K8S_WAIT_FOR_SETTLE", " 1500ms\n"),
        ("K8S_WAIT_FOR_MIN", "2"),
        ("K8S_WAIT_FOR_ANY", "true"),
        ("K8S_WAIT_FOR_LOG_LEVEL", "error"),
        ("K8S_WAIT_FOR_LOG_FORMAT", "text"),
        ("K8S_WAIT_FOR_OUTPUT", "plain"),
        ("K8S_WAIT_FOR_QUIET", "yes"),
        ("K8S_WAIT_FOR_EVENTS", "true"),
        ("K8S_WAIT_FOR_NO_LOGS", "true"),
        ("K8S_WAIT_FOR_COLOR", "always"),
        ("NO_COLOR", "1"),
        ("DEBUG", "2"),
        ("WAIT_TIME", "5"),
    ];
    let Wait { cluster, rules, speech, .. } = wait(typed, &variables);
    assert_eq!(rules.timeout, Some(Duration::from_mins(5)));
    assert_eq!((rules.auth_grace, rules.settle), (Duration::ZERO, Duration::from_millis(500)));
    assert_eq!((rules.missing, rules.min, rules.quorum), (Missing::Fail, 3, Quorum::Any));
    assert_eq!((rules.failed, rules.poll_pause), (Failed::Wait, Some(Duration::from_secs(5))));
    assert_eq!((cluster.context.as_deref(), cluster.kubeconfig), (Some("c"), Some(PathBuf::from("/k"))));
    assert_eq!((speech.form, speech.color), (Form::Json, Color::Never));
    assert_eq!((speech.log_level, speech.log_format), (LogLevel::Warn, LogFormat::Json));

    let Wait { rules, speech, .. } = wait("job|-lapp=x", &variables);
    assert_eq!((rules.failed, rules.timeout), (Failed::Wait, Some(Duration::from_secs(90))));
    assert_eq!((rules.auth_grace, rules.settle), (Duration::from_secs(10), Duration::from_millis(1500)));
    assert_eq!((rules.missing, rules.min, rules.quorum), (Missing::Ready, 2, Quorum::Any));
    assert_eq!((speech.log_level, speech.log_format), (LogLevel::Error, LogFormat::Text));
    assert_eq!((speech.form, speech.color), (Form::Plain, Color::Always));
    assert!(speech.quiet && speech.events && speech.no_logs);
}

#[test]
fn no_color_is_meant_for_every_program_and_our_own_option_comes_first() {
    let color = |line: &str, value: &str| wait(line, &[("NO_COLOR", value)]).speech.color;
    assert_eq!(color("job|a", "1"), Color::Never);
    assert_eq!(color("job|a", ""), Color::Auto);
    assert_eq!(color("job|a|--color|always", "1"), Color::Always);
}

#[test]
fn a_time_is_humantime_or_a_number_of_seconds() {
    let table =
        [("0", 0), ("2", 2000), ("0.5", 500), (".5", 500), ("90s", 90_000), ("1h 30m", 5_400_000), ("1.5s", 1500)];
    for (text, milliseconds) in table {
        let rules = wait(&format!("job|a|--timeout|{text}"), &[]).rules;
        assert_eq!(rules.timeout, Some(Duration::from_millis(milliseconds)), "{text}");
    }
}

#[test]
fn a_wrong_variable_of_our_own_is_a_usage_error_and_an_empty_one_is_none() {
    let table = [
        ("K8S_WAIT_FOR_TIMEOUT", "soon", "is not a time", "$TIMES"),
        ("K8S_WAIT_FOR_AUTH_GRACE", "-1", "is not a time", "$TIMES"),
        ("K8S_WAIT_FOR_SETTLE", "2 x", "is not a time", "$TIMES"),
        ("K8S_WAIT_FOR_MIN", "0", "is not a whole number of at least 1", "a whole number, 1 or more"),
        ("K8S_WAIT_FOR_ANY", "maybe", "is neither true nor false", "`true` or `false`"),
        ("K8S_WAIT_FOR_QUIET", "2", "is neither true nor false", "`true` or `false`"),
        ("K8S_WAIT_FOR_EVENTS", "2", "is neither true nor false", "`true` or `false`"),
        ("K8S_WAIT_FOR_OUTPUT", "yaml", "is not one of its values", "`plain` or `json`"),
        ("K8S_WAIT_FOR_COLOR", "red", "is not one of its values", "`auto`, `always` or `never`"),
        ("K8S_WAIT_FOR_LOG_FORMAT", "xml", "is not one of its values", "`text` or `json`"),
        ("K8S_WAIT_FOR_MISSING", "maybe", "is not one of its values", "`wait`, `fail` or `ready`"),
        ("K8S_WAIT_FOR_LOG_LEVEL", "2", "is not one of its values", "`error`, `warn`, `info`, `debug` or `trace`"),
    ];
    for (name, value, reason, hint) in table {
        let error = format!("`{name}`: `{value}` {reason}\nhint: {}", whole(hint));
        assert_eq!(shown(run("job|a", &[(name, value)])), error);
        assert_eq!(shown(run("job|a", &[(name, " ")])), "job/a");
    }
}

#[test]
fn variables_of_groundnuty_are_kept_and_their_nonsense_is_ignored_with_a_warning() {
    let seconds = |text: &str| wait("job|a", &[("WAIT_TIME", text)]).rules.poll_pause.map(|it| it.as_secs_f64());
    let table = [("2", Some(2.0)), ("0.5", Some(0.5)), ("2s", Some(2.0)), ("1m", Some(60.0)), ("0", None), ("x", None)];
    for (text, expected) in table {
        assert_eq!(seconds(text), expected, "{text}");
    }
    let level = |text: &str| wait("job|a", &[("DEBUG", text)]).speech.log_level;
    assert_eq!(["0", "1", "2", "true"].map(level), [LogLevel::Info, LogLevel::Debug, LogLevel::Trace, LogLevel::Info]);

    let nonsense = [("WAIT_TIME", "often"), ("DEBUG", "app:*"), ("TREAT_ERRORS_AS_READY", "yes")];
    let warnings = [
        "ignoring TREAT_ERRORS_AS_READY=yes: it takes 0, 1 or 2",
        "ignoring WAIT_TIME=often: it takes seconds, as in 2, 0.5 or 2s",
        "ignoring DEBUG=app:*: it takes 0, 1 or 2",
    ];
    assert_eq!(wait("job|a", &nonsense).speech.warnings, warnings, "nonsense is ignored");
    let zeros = [("DEBUG", "0"), ("TREAT_ERRORS_AS_READY", "0"), ("K8S_WAIT_FOR_ANY", "0")];
    let Wait { rules, speech, .. } = wait("job|a", &zeros);
    assert!(speech.warnings.is_empty() && rules.quorum == Quorum::All, "0 is a value of each");
    assert_eq!(shown(run("job|a", &zeros)), "job/a");
}

#[test]
fn treat_errors_as_ready_changes_plain_modes_only() {
    let table = [
        ("job|a", ["job/a", "job-we/a", "job/a"]),
        ("pod|a", ["pod/a", "pod-we/a", "pod-wr/a"]),
        ("service|a", ["service/a", "service/a", "service-wr/a"]),
        ("job-wr|a", ["job/a", "job/a", "job/a"]),
        ("job-we|a", ["job-we/a", "job-we/a", "job-we/a"]),
        ("pod-wr|a", ["pod-wr/a", "pod-wr/a", "pod-wr/a"]),
        ("pod-we|a", ["pod-we/a", "pod-we/a", "pod-we/a"]),
        ("pod/a|pod-wr/b", ["pod/a pod-wr/b", "pod-we/a pod-wr/b", "pod-wr/a pod-wr/b"]),
    ];
    for (line, expected) in table {
        let treated = ["0", "1", "2"].map(|value| shown(run(line, &[("TREAT_ERRORS_AS_READY", value)])));
        assert_eq!(treated, expected, "{line}");
    }
}

#[test]
fn help_names_every_mode_and_every_variable_that_is_read() {
    let help = shown(run("--help", &[]));
    let words: HashSet<&str> = help.split([' ', ',', '\n']).collect();
    for mode in kinds::modes() {
        assert!(words.contains(mode.word), "{}", mode.word);
    }
    let read = std::cell::RefCell::new(HashSet::new());
    let argv = ["k8s-wait-for", "job", "a"].map(OsString::from);
    let outcome = parse(argv, |name| {
        read.borrow_mut().insert(name.to_owned());
        None
    });
    assert!(outcome.is_ok());
    for name in read.into_inner() {
        assert!(help.contains(&name), "{name}");
        assert!(!name.contains("_PORT") && !name.contains("_SERVICE_"), "Kubernetes sets {name} for a Service");
    }
    let widest = help.lines().map(str::len).max();
    assert!(widest <= Some(100), "{widest:?}");
}

#[test]
fn help_is_had_on_each_kind_and_on_the_role() {
    for row in kinds::KINDS {
        let help = shown(run(&format!("--help|{}", row.kind.name), &[]));
        assert!(help.starts_with(&format!("{}: ", row.kind.title)) && help.contains(row.rules), "{help}");
    }
    assert_eq!(shown(run("deploy|-h", &[])), shown(run("--help|deployments.apps", &[])));
    assert!(shown(run("--help|widget.example.com", &[])).contains("Stalled"));
    assert_eq!(shown(run("--help|rbac", &[])), shown(run("rbac|--help", &[])));
}

#[test]
fn help_shows_the_name_it_was_called_by() {
    let names = [
        ("k8s-wait-for", "k8s-wait-for"),
        ("/wait_for.sh", "wait_for.sh"),
        ("/usr/local/bin/kubectl-wait_for", "kubectl wait-for"),
        ("", "k8s-wait-for"),
    ];
    for (path, name) in names {
        let (short, long) = ("-h", "--help");
        let [short, long] =
            [short, long].map(|option| shown(parse([path, "job", "a", option].map(OsString::from), |_| None)));
        assert!(short.contains(&format!("\nUsage: {name} [OPTIONS] MODE NAME...\n")), "{short}");
        assert!(long.contains(&format!("\n  {name} job migrate-v3 ")), "{long}");
        assert!(long.len() > short.len());
    }
    assert_eq!(shown(run("-V", &[])), format!("k8s-wait-for {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(shown(parse([], |_| None)), shown(run("", &[])), "no name at all");
}

#[test]
fn every_short_line_gives_targets_or_a_hint() {
    let words = [
        "job",
        "pod-we",
        "a",
        "a,",
        "app=x",
        "!app",
        "in",
        "(a,",
        "b)",
        "job/a",
        "n:pod/a=b",
        "/",
        ":",
        "-",
        "--",
        "-l",
        "-lx",
        "-n",
        "-A",
        "--any",
        "--min",
        "--timeout",
        "5",
        " ",
        "é",
        "-é",
        "a -n x",
        "$(X)",
        "--field-selector=a=b",
    ];
    let mut lines = vec![String::new()];
    for _ in 0..3 {
        lines = lines.iter().flat_map(|line| words.map(|word| format!("{line}|{word}"))).collect();
        for line in &lines {
            match run(&line[1..], &[]) {
                Ok(command) => assert!(!shown(Ok(command)).is_empty(), "{line}"),
                Err(usage) => assert!(usage.to_string().contains("\nhint: "), "{line}"),
            }
        }
    }
}
