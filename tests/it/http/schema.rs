//! The description that a daemon gives of itself, held against what it answers.

use serde_json::Value;

use super::Reply;

/// A description.
pub struct Description(pub Value);

impl Description {
    /// Fails if a reply is not one that the description has for the request.
    pub fn check(&self, method: &str, target: &str, reply: &Reply) {
        let path = target.split('?').next().unwrap();
        let method = method.to_ascii_lowercase();
        let paths = self.0["paths"].as_object().unwrap();
        let is_it = |template: &str| {
            let (mut theirs, mut ours) = (template.split('/'), path.split('/'));
            loop {
                match (theirs.next(), ours.next()) {
                    (None, None) => return true,
                    (Some(one), Some(other)) if one == other => {}
                    (Some(one), Some(other)) if one.starts_with('{') && !other.is_empty() => {}
                    _ => return false,
                }
            }
        };
        let found = paths.iter().find(|(template, _)| is_it(template));
        let Some((template, methods)) = found else {
            return assert_eq!(reply.status, 404, "{path} is not described");
        };
        let Some(operation) = methods.get(&method) else {
            return assert_eq!(reply.status, 405, "{method} {path} is not described");
        };
        let at = format!("{method} {template} {}", reply.status);
        let response = &operation["responses"][reply.status.to_string()];
        assert!(
            response.is_object(),
            "{at} is not described: {}",
            reply.text()
        );
        let Some(contents) = response.get("content") else {
            return assert!(reply.body.is_empty(), "{at} has a body");
        };
        let kind = reply.header("content-type").unwrap_or_default();
        let content = &contents[kind];
        assert!(content.is_object(), "{at} {kind} is not described");
        if let Some(schema) = content.get("schema").filter(|_| kind.ends_with("json")) {
            // One object behind the other, as that program has it.
            for value in serde_json::Deserializer::from_slice(&reply.body).into_iter() {
                self.holds(schema, &value.unwrap(), &at).unwrap();
            }
        }
    }

    /// As much of JSON Schema as the description uses; a keyword that is not known here fails.
    fn holds(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let said = |what: &str| Err(format!("{at}: {value} {what}"));
        for (keyword, rule) in schema.as_object().unwrap() {
            match keyword.as_str() {
                "title" | "description" | "additionalProperties" => {}
                "$ref" => {
                    let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                    let schema = self.0.pointer(pointer);
                    self.holds(schema.expect(pointer), value, at)?;
                }
                "anyOf" => {
                    let mut all = rule.as_array().unwrap().iter();
                    if !all.any(|schema| self.holds(schema, value, at).is_ok()) {
                        return said("is none of them");
                    }
                }
                "type" => {
                    let types = rule.as_array().map_or(std::slice::from_ref(rule), |t| t);
                    if !types.iter().any(|name| is_a(value, name.as_str().unwrap())) {
                        return said(&format!("is no {rule}"));
                    }
                }
                "enum" if !rule.as_array().unwrap().contains(value) => return said("is unknown"),
                "enum" => {}
                "minimum" if value.is_number() && value.as_u64() < rule.as_u64() => {
                    return said("is too small");
                }
                "maximum" if value.is_number() && value.as_u64() > rule.as_u64() => {
                    return said("is too large");
                }
                "minimum" | "maximum" => {}
                "minItems" if value.as_array().unwrap().is_empty() => return said("is empty"),
                "minItems" => {}
                "required" if value.is_object() => {
                    for name in rule.as_array().unwrap() {
                        if value.get(name.as_str().unwrap()).is_none() {
                            return said(&format!("has no {name}"));
                        }
                    }
                }
                "required" => {}
                "properties" => {
                    for (name, schema) in rule.as_object().unwrap() {
                        if let Some(value) = value.get(name) {
                            self.holds(schema, value, &format!("{at}.{name}"))?;
                        }
                    }
                }
                "items" => {
                    for value in value.as_array().into_iter().flatten() {
                        self.holds(rule, value, &format!("{at}[]"))?;
                    }
                }
                other => panic!("{at}: the keyword {other} is not known here"),
            }
        }
        Ok(())
    }
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64(),
        "null" => value.is_null(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        other => panic!("the type {other} is not known here"),
    }
}
