//! What the derived document does not say: names of operations that are unique, what parameters look like, which fields
//! exclude each other, and the refusals that every request can meet before its handler.

use hostatlas_domain::{HostSort, JobKind, JobState};
use serde_json::{Map, Value, json};

/// Refusals of the layers around the handlers, by status.
const OF_EVERY_REQUEST: [(&str, &str); 5] = [
    ("400", "not understood, as with a parameter or a value that does not exist"),
    ("403", "a foreign Host or Origin"),
    ("500", "our fault; the request id leads to the log"),
    ("503", "busy, or the database cannot be used"),
    ("504", "the answer took longer than 15 seconds"),
];
/// And of those that have a body.
const OF_BODIES: [(&str, &str); 4] = [
    ("408", "the body did not arrive within 10 seconds"),
    ("413", "the body is larger than 1 MiB"),
    ("415", "the body is not sent as `application/json`"),
    ("422", "the body is JSON, but not of this form"),
];
/// And of those of which one client has only so many at once.
const SHARED: [&str; 2] = ["/api/v1/events", "/api/v1/hosts/export"];

/// Completes the document.
pub fn amend(document: &mut Value) {
    for (path, methods) in document["paths"].as_object_mut().into_iter().flatten() {
        for operation in methods.as_object_mut().into_iter().flatten().map(|(_, operation)| operation) {
            name(operation);
            // Not by index, which would add a null where there is nothing.
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                describe(parameter);
            }
            let responses = responses(path, operation);
            let Some(given) = operation["responses"].as_object_mut() else { continue };
            for (status, response) in responses {
                given.entry(status).or_insert(response);
            }
        }
    }
    let schemas = &mut document["components"]["schemas"];
    schemas["Address"] = address();
    for (name, rules) in rules() {
        let Some(schema) = schemas[name].as_object_mut() else { continue };
        for (key, value) in rules.as_object().into_iter().flatten() {
            if key == "properties" {
                for (field, more) in value.as_object().into_iter().flatten() {
                    schema["properties"][field] = more.clone();
                }
            } else {
                schema.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The derived name is that of the function, which several nouns share.
fn name(operation: &mut Value) {
    let (tag, id) = (operation["tags"][0].as_str(), operation["operationId"].as_str());
    if let (Some(tag), Some(id)) = (tag, id) {
        operation["operationId"] = format!("{tag}_{id}").into();
    }
}

/// A parameter means the same wherever it stands.
fn describe(parameter: &mut Value) {
    let slugs = |slugs: &[&str]| json!({ "type": "string", "enum": slugs });
    let schema = match parameter["name"].as_str() {
        Some("ip") => json!({ "$ref": "#/components/schemas/Address" }),
        Some("cursor") => {
            json!({ "type": "string", "pattern": "^([0-9a-f]{2})*(\\.([0-9a-f]{2})+)*$", "maxLength": 256 })
        }
        Some("q") => json!({ "type": "string", "maxLength": 1024 }),
        Some("sort") => slugs(&HostSort::ALL.map(HostSort::slug)),
        Some("state") => slugs(&JobState::ALL.map(JobState::slug)),
        Some("kind") => slugs(&JobKind::ALL.map(JobKind::slug)),
        Some("format") => slugs(&["csv", "ndjson", "addresses"]),
        Some("bbox") => json!({ "type": "string", "pattern": BOUNDING_BOX }),
        Some("zoom") => json!({ "type": "number", "minimum": 0, "maximum": 24 }),
        Some("limit") => json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 50 }),
        Some("force") => json!({ "type": "boolean", "default": false }),
        Some("job") => json!({ "type": "string", "pattern": "^[0-9]{1,18}(,[0-9]{1,18}){0,15}$" }),
        _ => return,
    };
    parameter["schema"] = schema;
}

/// Degrees east and north, twice.
const BOUNDING_BOX: &str = "^-?(180|1[0-7][0-9]|[0-9]{1,2})(\\.[0-9]+)?,-?(90|[0-8]?[0-9])(\\.[0-9]+)?,\
                            -?(180|1[0-7][0-9]|[0-9]{1,2})(\\.[0-9]+)?,-?(90|[0-8]?[0-9])(\\.[0-9]+)?$";

fn address() -> Value {
    json!({
        "description": "The address of a host: IPv4, or IPv6 that is no mapped IPv4.",
        "type": "string",
        "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }],
        "example": "203.0.113.7",
    })
}

/// What holds between the fields of bodies.
fn rules() -> [(&'static str, Value); 9] {
    let address = json!({ "$ref": "#/components/schemas/Address" });
    let addresses = json!({ "type": ["array", "null"], "items": address, "minItems": 1 });
    let query = json!({ "type": ["string", "null"], "maxLength": 1024, "pattern": "\\S" });
    let is = |name: &str, schema: Value| json!({ "required": [name], "properties": { name: schema } });
    let said = |name: &str| is(name, json!({ "const": true }));
    let text = |name: &str| is(name, json!({ "type": "string" }));
    let list = |name: &str| is(name, json!({ "type": "array" }));
    let optional =
        |slugs: &[&str]| json!({ "oneOf": [{ "type": "null" }, { "type": "string", "enum": slugs }] });
    let none = |names: &[&str]| {
        let nulls: Map<_, _> =
            names.iter().map(|name| ((*name).to_owned(), json!({ "type": "null" }))).collect();
        json!({ "properties": nulls })
    };
    [
        (
            "EnqueueBody",
            json!({
                "properties": { "q": query, "ips": addresses, "kind": { "type": ["string", "null"], "enum": ["geolocation", null] } },
                "oneOf": [text("q"), list("ips"), said("due_only"), said("all")],
            }),
        ),
        (
            "FilterBody",
            json!({
                "properties": {
                    "state": optional(&JobState::ALL.map(JobState::slug)),
                    "kind": optional(&JobKind::ALL.map(JobKind::slug)),
                    "ip": { "oneOf": [{ "type": "null" }, address] },
                },
                "anyOf": [text("state"), text("kind"), text("ip")],
            }),
        ),
        (
            "TargetBody",
            json!({
                "properties": {
                    "ids": { "type": ["array", "null"], "items": { "type": "integer", "format": "int64" }, "minItems": 1 },
                },
                "oneOf": [list("ids"), is("filter", json!({ "type": "object" })), said("all")],
            }),
        ),
        (
            "RunBody",
            json!({
                "properties": { "q": query, "ips": addresses },
                "oneOf": [text("q"), list("ips"), text("selection"), none(&["q", "ips", "selection"])],
            }),
        ),
        (
            "CapBody",
            json!({ "required": ["cap"], "properties": {
            "cap": { "type": ["integer", "null"], "minimum": 1, "maximum": u32::MAX, "description": "From 1; null for no bound." },
        } }),
        ),
        ("RuleBody", json!({ "required": ["rule"] })),
        ("TestBody", json!({ "properties": { "ip": address } })),
        (
            "PinBody",
            json!({ "properties": {
            "latitude": { "type": "number", "minimum": -90, "maximum": 90, "description": "Degrees north." },
            "longitude": { "type": "number", "minimum": -180, "maximum": 180, "description": "Degrees east." },
            "country_code": { "type": ["string", "null"], "pattern": "^[A-Za-z]{2}$", "description": "ISO 3166-1 alpha-2." },
        } }),
        ),
        ("GeolocateBody", json!({})),
    ]
}

fn responses(path: &str, operation: &Value) -> Vec<(&'static str, Value)> {
    let mut refusals = OF_EVERY_REQUEST.to_vec();
    if operation["requestBody"].is_object() {
        refusals.extend(OF_BODIES);
    }
    if SHARED.contains(&path) {
        refusals.push(("429", "this client has as many of these as one may have at once"));
    }
    let problem =
        json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
    let response = |description| json!({ "description": description, "content": problem.clone() });
    refusals.into_iter().map(|(status, description)| (status, response(description))).collect()
}
