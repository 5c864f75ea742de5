//! Schemas that belong to no task.

use serde_json::{Map, Value, json};

/// The schemas by their names.
pub(super) fn components() -> Map<String, Value> {
    let schemas = [
        ("Error", error()),
        ("Options", options()),
        ("Images", images()),
        ("Models", models()),
        ("OpenAiModel", openai_model()),
        (
            "OpenAiModels",
            object(json!({
                "object": {"const": "list"},
                "data": {"type": "array", "items": {"$ref": "#/components/schemas/OpenAiModel"}},
            })),
        ),
        ("OpenAiGeneration", generation()),
        ("OpenAiEdit", edit()),
        ("OpenAiImages", openai_images()),
        (
            "Accepted",
            object(json!({"id": {"type": "string"}, "status": {"const": "queued"}})),
        ),
        ("Job", job()),
        (
            "Jobs",
            object(
                json!({"jobs": {"type": "array", "items": {"$ref": "#/components/schemas/Job"}}}),
            ),
        ),
    ];
    schemas
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect()
}

/// An object that has all of these fields.
fn object(properties: Value) -> Value {
    let names: Vec<_> = properties
        .as_object()
        .map(|fields| fields.keys().cloned().collect())
        .unwrap_or_default();
    json!({"type": "object", "properties": properties, "required": names})
}

fn error() -> Value {
    let error = object(json!({
        "code": {"type": "string"},
        "message": {"type": "string"},
        "param": {"type": ["string", "null"]},
        "type": {"enum": ["invalid_request_error", "authentication_error", "rate_limit_error", "server_error"]},
        "request_id": {"type": "string"},
    }));
    object(json!({ "error": error }))
}

fn options() -> Value {
    json!({"type": "object", "properties": {
        "model": {"type": ["string", "null"]},
        "stream": {"type": ["boolean", "null"]},
        "partial_images": {"type": ["integer", "null"], "minimum": 0, "maximum": 10},
    }})
}

fn images() -> Value {
    let image = object(json!({
        "b64_json": {"type": "string", "contentEncoding": "base64"},
        "seed": {"type": "integer", "minimum": 0},
    }));
    let mut schema = object(json!({
        "images": {"type": "array", "items": image},
        "seconds": {"type": "object", "additionalProperties": {"type": "number"}},
    }));
    schema["properties"]["notes"] = json!({"type": "array", "items": {"type": "string"}});
    schema
}

fn models() -> Value {
    let model = object(json!({
        "name": {"type": "string"},
        "task": {"type": "string"},
        "state": {"enum": ["loading", "ready", "failed", "draining"]},
    }));
    object(json!({"models": {"type": "array", "items": model}}))
}

fn openai_model() -> Value {
    object(json!({
        "id": {"type": "string"},
        "object": {"const": "model"},
        "created": {"type": "integer"},
        "owned_by": {"type": "string"},
    }))
}

/// Fields that both of OpenAI's routes read.
fn drawing() -> Value {
    json!({
        "prompt": {"type": "string"},
        "model": {"type": "string"},
        "n": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
        "size": {"type": "string", "pattern": "^([0-9]+x[0-9]+|auto)$"},
        "quality": {"type": "string"},
        "response_format": {"const": "b64_json"},
        "output_format": {"enum": ["png", "jpeg", "webp"], "default": "png"},
        "output_compression": {"type": "integer", "minimum": 0, "maximum": 100},
        "background": {"enum": ["auto", "opaque"]},
        "moderation": {"type": "string"},
        "stream": {"type": "boolean", "default": false},
        "partial_images": {"type": "integer", "minimum": 0, "maximum": 3, "default": 0},
        "style": {"type": "string"},
        "user": {"type": "string"},
        "safety_identifier": {"type": "string"},
        "input_fidelity": {"type": "string"},
        "negative_prompt": {"type": "string"},
        "num_inference_steps": {"type": "integer", "minimum": 1},
        "guidance_scale": {"type": "number", "minimum": 0},
        "seed": {"type": "integer", "minimum": 0},
    })
}

fn generation() -> Value {
    json!({"type": "object", "properties": drawing(), "required": ["prompt"], "additionalProperties": false})
}

fn edit() -> Value {
    let mut properties = drawing();
    properties["image"] = json!({"type": "string", "format": "binary"});
    properties["mask"] = json!({"type": "string", "format": "binary",
        "description": "Of the size of the image; its transparent pixels are drawn anew"});
    properties["strength"] = json!({"type": "number", "minimum": 0, "maximum": 1});
    json!({"type": "object", "properties": properties, "required": ["image", "prompt"], "additionalProperties": false})
}

fn openai_images() -> Value {
    let image = object(json!({"b64_json": {"type": "string", "contentEncoding": "base64"}}));
    object(json!({
        "created": {"type": "integer"},
        "data": {"type": "array", "items": image},
        "size": {"type": "string"},
        "quality": {"type": "string"},
        "background": {"const": "opaque"},
        "output_format": {"enum": ["png", "jpeg", "webp"]},
        "usage": {"type": "object"},
    }))
}

fn job() -> Value {
    let mut schema = object(json!({
        "id": {"type": "string"},
        "status": {"enum": ["queued", "running", "done", "failed", "cancelled"]},
        "model": {"type": "string"},
        "created_at": {"type": "integer"},
        "step": {"type": "integer"},
        "steps": {"type": ["integer", "null"]},
    }));
    schema["properties"]["result"] = json!({"type": "object"});
    schema["properties"]["error"] = json!({"type": "object"});
    schema
}
