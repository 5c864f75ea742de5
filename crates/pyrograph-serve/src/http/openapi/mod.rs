//! The OpenAPI document, from the routes and the schemas of the models' tasks.

mod described;
mod schemas;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::Model;

use super::routes::{Route, routes};

use described::{Body, described};

/// The document of a server with these models.
pub(super) fn document(models: &[Model], has_tokens: bool) -> Value {
    let bodies = models
        .iter()
        .map(|model| (model.task().to_owned(), model.schema()))
        .collect::<BTreeMap<_, _>>();
    let mut paths = Map::new();
    for route in routes() {
        let operation = operation(&route, &bodies, has_tokens);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation;
    }
    let mut components = schemas::components();
    for (task, schema) in bodies {
        components.insert(task, schema);
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "pyrograph",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Models for pictures behind HTTP.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": components},
    });
    if has_tokens {
        document["components"]["securitySchemes"] =
            json!({"token": {"type": "http", "scheme": "bearer"}});
    }
    document
}

/// An operation: what it does, what it reads, what it answers.
fn operation(route: &Route, bodies: &BTreeMap<String, Value>, has_tokens: bool) -> Value {
    let described = described(route);
    let mut responses = Map::new();
    responses.insert(described.status.into(), described.answer);
    for kind in described.refusals {
        let description = kind.code().replace('_', " ");
        responses.insert(
            kind.status().to_string(),
            json!({"description": description, "content": content("application/json", named("Error"))}),
        );
    }
    let mut value = json!({
        "operationId": operation_id(route),
        "summary": described.summary,
        "parameters": parameters(route),
        "responses": responses,
    });
    if let Some(body) = described.body {
        value["requestBody"] = match body {
            Body::Task => task_body(bodies),
            Body::Named(content_type, name) => {
                json!({"required": true, "content": content(content_type, named(name))})
            }
        };
    }
    if has_tokens && !route.is_free {
        value["security"] = json!([{"token": []}]);
        let refused = json!({"description": "no token, or an unknown one", "content":
            content("application/json", named("Error"))});
        value["responses"]["401"] = refused;
    }
    value
}

fn operation_id(route: &Route) -> String {
    let path = route.path.replace(['{', '}', '.'], "");
    format!(
        "{}{}",
        route.method,
        path.trim_end_matches('/').replace('/', "_")
    )
}

fn parameters(route: &Route) -> Value {
    let mut parameters = Vec::new();
    for part in route.path.split('/') {
        if let Some(name) = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
        {
            parameters.push(
                json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}),
            );
        }
    }
    let header = |name: &str, what: &str| {
        json!({"name": name, "in": "header", "description": what,
        "schema": {"type": "string"}})
    };
    if route.method == "post" {
        parameters.push(header(
            "x-request-timeout",
            "Seconds after which the client no longer waits",
        ));
    }
    if route.path.ends_with("/invocations") {
        parameters.push(json!({"name": "partial_images", "in": "query", "description": "Previews among the events",
            "schema": {"type": "integer", "minimum": 0, "maximum": 10}}));
    }
    if route.method == "post" && !route.path.starts_with("/v1/images") {
        parameters.push(header(
            "x-pyrograph-input",
            "A file below the server's folder, which is read as the body",
        ));
    }
    parameters.push(header(
        "x-request-id",
        "An id for the log, which comes back",
    ));
    Value::Array(parameters)
}

fn task_body(bodies: &BTreeMap<String, Value>) -> Value {
    let mut any: Vec<_> = bodies.keys().map(|task| named(task)).collect();
    let schema = match any.len() {
        1 => any.remove(0),
        _ => json!({ "anyOf": any }),
    };
    let image = json!({"type": "string", "format": "binary"});
    json!({
        "required": true,
        "description": "A body of the model's task. In JSON, `model` chooses the model, `stream` asks for events, and \
            `partial_images` for previews among them.",
        "content": {
            "application/json": {"schema": {"allOf": [named("Options"), schema]}},
            "image/*": {"schema": image},
            "application/x-image": {"schema": image},
        },
    })
}

fn any_result() -> Value {
    let image = json!({"schema": {"type": "string", "format": "binary"}});
    json!({
        "description": "the result, in a type that `Accept` allows",
        "headers": {
            "x-seed": {"description": "Seed of the first image", "schema": {"type": "integer"}},
            "x-steps": {"description": "Steps taken", "schema": {"type": "integer"}},
            "server-timing": {"description": "Milliseconds in each stage", "schema": {"type": "string"}},
        },
        "content": {
            "image/png": image,
            "image/jpeg": image,
            "image/webp": image,
            "application/json": {"schema": {"anyOf": [named("Images"), {"type": "object"}]}},
        },
    })
}

fn with_events(mut answer: Value) -> Value {
    answer["content"]["text/event-stream"] = json!({"schema": {"type": "string"}});
    answer
}

fn answered(content_type: &str, schema: Value) -> Value {
    json!({"description": "the answer", "content": content(content_type, schema)})
}

fn content(content_type: &str, schema: Value) -> Value {
    let mut content = Map::new();
    content.insert(content_type.into(), json!({ "schema": schema }));
    Value::Object(content)
}

fn named(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_route_has_an_operation_of_its_own_name() {
        let document = document(&[], true);
        let mut names = HashSet::new();
        for route in routes() {
            let operation = &document["paths"][route.path][route.method];
            let name = operation["operationId"].as_str();
            assert!(
                names.insert(name.expect("an id").to_owned()),
                "{name:?} is there twice"
            );
            assert_eq!(
                operation["security"].is_null(),
                route.is_free,
                "{}",
                route.path
            );
            let runs = operation["summary"] == "Runs a model";
            assert_eq!(
                runs,
                route.path.ends_with("/invocations"),
                "{} is not described",
                route.path
            );
        }
    }

    #[test]
    fn every_reference_leads_to_a_schema() {
        let document = document(&[], false);
        let text = document.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            let schema = &document["components"]["schemas"][name];
            assert!(schema.is_object(), "{name} is missing");
        }
    }
}
