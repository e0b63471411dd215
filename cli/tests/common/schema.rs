//! JSON documents are held to the schemas that they name.

use jsonschema::{Registry, Validator};
use serde_json::Value;
use std::path::Path;

/// The schema files of the repository.
pub(crate) fn file(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{name}.json"));
    serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()
}

/// What holds a document to the schema of this name.
pub(crate) fn validator(name: &str) -> Validator {
    let registry = Registry::new()
        .add("urn:qctl:schema:common", file("common"))
        .unwrap()
        .prepare()
        .unwrap();
    jsonschema::options()
        .with_registry(&registry)
        .build(&file(name))
        .unwrap()
}

/// Panics with what is wrong, and where, unless the document meets the schema that it names.
pub(crate) fn hold_to_schema(document: &Value) {
    let name = document["schema"].as_str().unwrap();
    let (name, version) = name.split_once('/').unwrap();
    assert_eq!(version, "1", "{name}");
    let errors: Vec<String> = validator(name)
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
}
