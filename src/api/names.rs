//! What the objects of a kind are called: one request for a table of what `kubectl get` shows. Whole objects, even
//! their metadata alone, can be large.

use http::{HeaderValue, Request as HttpRequest, Uri, header};
use kube::api::ListParams;
use kube::core::Request;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::{Client, Confidential};
use super::failure::Failure;
use crate::target::Resource;

/// How many names are read.
const LIMIT: u32 = 500;

/// The first names of a collection.
pub struct Names {
    pub some: Vec<String>,
    /// how many more there are
    pub others: usize,
}

/// Asks for the names in a namespace; `None` is all namespaces.
pub async fn list(client: &Client, resource: &Resource, namespace: Option<&str>) -> Result<Names, Failure> {
    let parameters = ListParams::default().limit(LIMIT);
    let request = Request::new(resource.path(namespace)).list(&parameters).map(as_table);
    let mut request = request.map_err(|error| Failure::transient(error.to_string()))?;
    // What a table of Secrets may show.
    request.extensions_mut().insert(Confidential);
    let answer = client.read_aside(request).await?;
    let table: Table = serde_json::from_slice(&answer.body).map_err(|error| answer.unreadable(&error))?;
    let column = table.column_definitions.iter().position(|column| column.format == "name").unwrap_or(0);
    let name = |row: Row| serde_json::from_str(row.cells.get(column)?.get()).ok();
    let some = table.rows.into_iter().filter_map(name).collect();
    Ok(Names { some, others: table.metadata.remaining_item_count.unwrap_or_default() })
}

/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>
fn as_table(mut request: HttpRequest<Vec<u8>>) -> HttpRequest<Vec<u8>> {
    if let Ok(uri) = format!("{}&includeObject=None", request.uri()).parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    let accept = HeaderValue::from_static("application/json;as=Table;v=v1;g=meta.k8s.io");
    request.headers_mut().insert(header::ACCEPT, accept);
    request
}

/// A `meta.k8s.io/v1` Table
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    #[serde(default)]
    metadata: ListMetadata,
    column_definitions: Vec<Column>,
    #[serde(default)]
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Column {
    #[serde(default)]
    format: String,
}

#[derive(Deserialize)]
struct Row {
    cells: Vec<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMetadata {
    remaining_item_count: Option<usize>,
}
