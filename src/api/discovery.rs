//! Which kinds the cluster serves: <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>.
//!
//! With a group two small documents tell (which versions the group has, and what one of them serves); a word alone is
//! looked for in all groups, by the aggregated form. A path that is not there proves nothing: any proxy says 404.

use http::{Request, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::{Client, SIZE_LIMIT};
use super::failure::{Class, Failure};
use crate::target::{Kind, Origin, Resource};
use crate::text::near;

/// What was found out about a kind.
#[derive(Debug)]
pub enum Finding {
    Found(Kind),
    /// Its group is not installed, or does not serve it, but these that are near.
    Absent(Vec<String>),
    /// No group serves what is called so; these words are near.
    Unknown(Vec<String>),
}

/// Looks for a kind that is sought.
///
/// # Errors
/// The API server does not tell.
pub async fn find(client: &Client, kind: &Kind) -> Result<Finding, Failure> {
    if kind.resource.group.is_empty() { find_anywhere(client, kind).await } else { find_in_group(client, kind).await }
}

async fn find_in_group(client: &Client, kind: &Kind) -> Result<Finding, Failure> {
    let Resource { group, version, .. } = &kind.resource;
    let groups: Groups = read(client, "/apis", "application/json").await?;
    let Some(found) = groups.groups.into_iter().find(|it| it.name == *group) else {
        return Ok(Finding::Absent(Vec::new()));
    };
    let preferred = found.preferred_version.version;
    let mut versions: Vec<String> = found.versions.into_iter().map(|it| it.version).collect();
    versions.retain(|it| version.is_empty() || it == version);
    versions.sort_by_key(|it| *it != preferred);
    let mut words = Vec::new();
    for version in versions {
        let served: Resources = read(client, &format!("/apis/{group}/{version}"), "application/json").await?;
        if let Some(found) = served.kind(kind, &version) {
            return Ok(Finding::Found(found));
        }
        let bare = served.resources.into_iter().filter(|it| !it.name.contains('/'));
        words.extend(bare.map(|it| if it.singular_name.is_empty() { it.name } else { it.singular_name }));
    }
    let near = near(kind.word(), words);
    Ok(Finding::Absent(near.into_iter().map(|word| format!("{word}.{group}")).collect()))
}

async fn find_anywhere(client: &Client, kind: &Kind) -> Result<Finding, Failure> {
    let mut words = Vec::new();
    for path in ["/api", "/apis"] {
        let aggregated: Aggregated = read(client, path, AGGREGATED).await?;
        if !matches!(&*aggregated.kind, "APIGroupDiscoveryList" | "APIGroupList" | "APIVersions") {
            return Err(Failure::transient(format!("the API server answers {path} with a {}", aggregated.kind)));
        }
        if aggregated.kind != "APIGroupDiscoveryList" {
            let text = format!("this API server needs the group of `{0}`: `{0}.GROUP`", kind.name);
            return Err(Failure { class: Class::Invalid, ..Failure::transient(text) });
        }
        let mut stale = None;
        for group in &aggregated.items {
            for version in &group.versions {
                stale = stale.or((version.freshness == "Stale").then_some(&group.metadata.name));
                let found = version.resources.iter().find(|it| it.is_called(kind.word()));
                if let Some(found) = found {
                    return Ok(Finding::Found(found.kind(kind, &group.metadata.name, &version.version)));
                }
                words.extend(version.resources.iter().map(|it| it.singular_resource.clone()));
            }
        }
        // It may be one of those.
        if let Some(group) = stale {
            return Err(Failure::transient(format!("the API server cannot currently say what {group} serves")));
        }
    }
    Ok(Finding::Unknown(near(kind.word(), words)))
}

/// Both versions of the aggregated form: 1.27 to 1.29 have only the older one.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

async fn read<T: DeserializeOwned>(client: &Client, path: &str, accept: &str) -> Result<T, Failure> {
    let request = Request::get(path).header(header::ACCEPT, accept).body(Vec::new());
    let request =
        request.map_err(|error| Failure { class: Class::Invalid, ..Failure::transient(error.to_string()) })?;
    // Large where there are many kinds; one after another where there are many targets.
    let answer = client.read_in_turn(request, SIZE_LIMIT).await?;
    serde_json::from_slice(&answer.body).map_err(|error| answer.unreadable(&error))
}

/// `v1` `APIGroupList`
#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    versions: Vec<Version>,
    #[serde(default)]
    preferred_version: Version,
}

#[derive(Default, Deserialize)]
struct Version {
    version: String,
}

/// `v1` `APIResourceList`
#[derive(Deserialize)]
struct Resources {
    resources: Vec<Served>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Served {
    /// plural, or `plural/subresource`
    name: String,
    #[serde(default)]
    singular_name: String,
    namespaced: bool,
    kind: String,
    #[serde(default)]
    short_names: Vec<String>,
    #[serde(default)]
    verbs: Vec<String>,
}

impl Resources {
    fn kind(&self, sought: &Kind, version: &str) -> Option<Kind> {
        let word = sought.word();
        let is_meant = |it: &&Served| {
            let names = [&it.name, &it.singular_name, &it.kind];
            !it.name.contains('/') && is_readable(&it.verbs) && is_called(word, names, &it.short_names)
        };
        let found = self.resources.iter().find(is_meant)?;
        let has_status = self.resources.iter().any(|it| it.name == format!("{}/status", found.name));
        let resource = Resource {
            group: sought.resource.group.clone(),
            version: version.to_owned().into(),
            plural: found.name.clone().into(),
            namespaced: found.namespaced,
        };
        Some(as_found(sought, &found.kind, resource, has_status))
    }
}

/// `apidiscovery.k8s.io` `APIGroupDiscoveryList`
#[derive(Deserialize)]
struct Aggregated {
    kind: String,
    #[serde(default)]
    items: Vec<GroupDiscovery>,
}

#[derive(Deserialize)]
struct GroupDiscovery {
    /// the core group has no name
    #[serde(default)]
    metadata: Name,
    #[serde(default)]
    versions: Vec<VersionDiscovery>,
}

#[derive(Default, Deserialize)]
struct Name {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct VersionDiscovery {
    version: String,
    #[serde(default)]
    resources: Vec<ResourceDiscovery>,
    #[serde(default)]
    freshness: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceDiscovery {
    resource: String,
    #[serde(default)]
    response_kind: ResponseKind,
    scope: String,
    #[serde(default)]
    singular_resource: String,
    #[serde(default)]
    short_names: Vec<String>,
    #[serde(default)]
    subresources: Vec<Subresource>,
    #[serde(default)]
    verbs: Vec<String>,
}

/// What was sought, as the API server serves it.
fn as_found(sought: &Kind, title: &str, resource: Resource, has_status: bool) -> Kind {
    Kind { name: sought.name.clone(), title: title.to_owned().into(), resource, origin: Origin::Found { has_status } }
}

/// Whether that is one of its names, in whatever case.
fn is_called(word: &str, names: [&String; 3], short_names: &[String]) -> bool {
    names.into_iter().chain(short_names).any(|name| name.eq_ignore_ascii_case(word))
}

/// What cannot be looked at is no kind to wait for: `bindings` can only be created.
fn is_readable(verbs: &[String]) -> bool {
    verbs.iter().any(|verb| verb == "list" || verb == "get")
}

#[derive(Default, Deserialize)]
struct ResponseKind {
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
struct Subresource {
    subresource: String,
}

impl ResourceDiscovery {
    fn is_called(&self, word: &str) -> bool {
        let names = [&self.resource, &self.singular_resource, &self.response_kind.kind];
        is_readable(&self.verbs) && is_called(word, names, &self.short_names)
    }

    fn kind(&self, sought: &Kind, group: &str, version: &str) -> Kind {
        let has_status = self.subresources.iter().any(|it| it.subresource == "status");
        let resource = Resource {
            group: group.to_owned().into(),
            version: version.to_owned().into(),
            plural: self.resource.clone().into(),
            namespaced: self.scope == "Namespaced",
        };
        as_found(sought, &self.response_kind.kind, resource, has_status)
    }
}
