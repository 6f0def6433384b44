//! No fixture is fiction: a real API server takes every object in tests/fixtures back, as a new object and, where it
//! has one, with the status that it was captured with. (What is said of them, a unit test knows.)

use testbed::{
    Namespace,
    capture::{files, name, objects, post_back},
};

pub fn objects_of_all_fixtures_are_taken_back(namespace: &Namespace) {
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
