//! No fixture is fiction: a real API server takes every object in tests/fixtures back, as a new object and, where it
//! has one, with the status that it was captured with; and kubectl decides about paths as it did when it was asked.
//! (What is said of them here, unit tests know.)

use testbed::{
    Namespace,
    capture::{define_kinds, files, name, objects, post_back},
    jsonpath,
};

pub fn objects_of_all_fixtures_are_taken_back(namespace: &Namespace) {
    define_kinds(namespace).expect("the definitions are readable");
    let mut refused = Vec::new();
    for file in files("").expect("the folders of fixtures are readable") {
        let objects = objects(&file).unwrap_or_else(|error| panic!("{}: {error:#}", name(&file)));
        for object in &objects {
            let refusal = post_back(namespace, object).err();
            let report = |error| format!("{} {}: {error:#}", name(&file), object["metadata"]["name"]);
            refused.extend(refusal.map(report));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

pub fn kubectl_decides_about_paths_as_it_did(_: &Namespace) {
    let outdated = jsonpath::outdated().expect("kubectl's packages answer");
    assert!(outdated.is_empty(), "`testbed jsonpath` writes it anew:\n{}", outdated.join("\n"));
}
