//! Templates over claims: the part of Go's `text/template` that CI configurations use.
//!
//! A value without `{{` is the name of a claim (or default), which must exist. Otherwise it is
//! text with actions: `{{ .name }}` (must exist), `{{ index . "odd.key" }}` (empty if missing),
//! `{{ if … }}…{{ else if … }}…{{ else }}…{{ end }}`, the functions `eq`, `ne`, `and`, `or`, `not`,
//! parentheses, comments, and the trimming forms `{{-` and `-}}`. Anything else is refused when the
//! template is parsed. Output is never escaped: it goes into a certificate, not into HTML.

use std::collections::BTreeMap;

mod parse;

/// Bound on what one template may print, in bytes.
const MAX_OUTPUT: usize = 4096;

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Template {
    /// The value of one claim.
    Claim(String),
    /// Text with actions.
    Text(Vec<Node>),
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Literal(String),
    Print(Expression),
    /// The branches in order, each with its condition, and the `else`.
    If(Vec<(Expression, Vec<Node>)>, Vec<Node>),
}

/// What an action evaluates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expression {
    Text(String),
    /// `.name`: an error if missing.
    Claim(String),
    /// `index . key`: empty if missing.
    Index(Box<Expression>),
    /// True if the first equals any of the others.
    Eq(Vec<Expression>),
    Ne(Box<Expression>, Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Not(Box<Expression>),
}

/// A template that cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template {template:?}: {reason}")]
pub struct SyntaxError {
    template: String,
    reason: String,
}

/// A template that cannot be evaluated with the claims at hand. The text goes to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// A claim is missing.
    #[error("value <{0}> not present in either claims or defaults")]
    Missing(String),
    /// The result is too long for a certificate.
    #[error("the template's result is longer than {MAX_OUTPUT} bytes")]
    TooLong,
}

/// Claims by name, overlaid on defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'a> {
    pub(crate) defaults: &'a BTreeMap<String, String>,
    pub(crate) claims: &'a BTreeMap<String, String>,
}

impl Values<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.claims
            .get(name)
            .or_else(|| self.defaults.get(name))
            .map(String::as_str)
    }

    fn require(&self, name: &str) -> Result<&str, EvaluationError> {
        self.get(name)
            .ok_or_else(|| EvaluationError::Missing(name.to_owned()))
    }
}

/// The value of an expression.
enum Value {
    Text(String),
    Bool(bool),
}

impl Value {
    fn is_true(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Bool(value) => *value,
        }
    }

    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Bool(value) => value.to_string(),
        }
    }
}

impl Template {
    /// Parses a template, or a claim's name.
    pub(crate) fn parse(text: &str) -> Result<Self, SyntaxError> {
        if text.contains("{{") {
            parse::nodes(text)
                .map(Self::Text)
                .map_err(|reason| SyntaxError {
                    template: text.to_owned(),
                    reason,
                })
        } else {
            Ok(Self::Claim(text.to_owned()))
        }
    }

    /// Evaluates the template.
    pub(crate) fn evaluate(&self, values: Values<'_>) -> Result<String, EvaluationError> {
        let mut out = String::new();
        match self {
            Self::Claim(name) => out.push_str(values.require(name)?),
            Self::Text(nodes) => print(nodes, values, &mut out)?,
        }
        if out.len() > MAX_OUTPUT {
            return Err(EvaluationError::TooLong);
        }
        Ok(out)
    }
}

fn print(nodes: &[Node], values: Values<'_>, out: &mut String) -> Result<(), EvaluationError> {
    for node in nodes {
        match node {
            Node::Literal(text) => out.push_str(text),
            Node::Print(expression) => out.push_str(&evaluate(expression, values)?.into_text()),
            Node::If(branches, otherwise) => {
                let mut taken = otherwise;
                for (condition, body) in branches {
                    if evaluate(condition, values)?.is_true() {
                        taken = body;
                        break;
                    }
                }
                print(taken, values, out)?;
            }
        }
        if out.len() > MAX_OUTPUT {
            return Err(EvaluationError::TooLong);
        }
    }
    Ok(())
}

fn evaluate(expression: &Expression, values: Values<'_>) -> Result<Value, EvaluationError> {
    Ok(match expression {
        Expression::Text(text) => Value::Text(text.clone()),
        Expression::Claim(name) => Value::Text(values.require(name)?.to_owned()),
        Expression::Index(key) => {
            let key = evaluate(key, values)?.into_text();
            Value::Text(values.get(&key).unwrap_or_default().to_owned())
        }
        Expression::Eq(operands) => {
            let mut operands = operands.iter();
            let first = match operands.next() {
                Some(first) => evaluate(first, values)?.into_text(),
                None => return Ok(Value::Bool(false)),
            };
            for operand in operands {
                if evaluate(operand, values)?.into_text() == first {
                    return Ok(Value::Bool(true));
                }
            }
            Value::Bool(false)
        }
        Expression::Ne(left, right) => {
            Value::Bool(evaluate(left, values)?.into_text() != evaluate(right, values)?.into_text())
        }
        // `and` and `or` give an operand, not a boolean, and stop at the first that decides.
        Expression::And(operands) => first_that(operands, values, |value| !value.is_true())?,
        Expression::Or(operands) => first_that(operands, values, Value::is_true)?,
        Expression::Not(operand) => Value::Bool(!evaluate(operand, values)?.is_true()),
    })
}

fn first_that(
    operands: &[Expression],
    values: Values<'_>,
    decides: impl Fn(&Value) -> bool,
) -> Result<Value, EvaluationError> {
    let mut last = Value::Bool(false);
    for operand in operands {
        last = evaluate(operand, values)?;
        if decides(&last) {
            break;
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn run(template: &str, claims: &[(&str, &str)]) -> Result<String, EvaluationError> {
        let defaults = map(&[("url", "https://github.com"), ("sha", "default")]);
        let claims = map(claims);
        Template::parse(template).unwrap().evaluate(Values {
            defaults: &defaults,
            claims: &claims,
        })
    }

    #[test]
    fn a_bare_word_is_a_claim_that_must_exist() {
        assert_eq!(
            run("event_name", &[("event_name", "push")]).unwrap(),
            "push"
        );
        assert_eq!(
            run("nope", &[]),
            Err(EvaluationError::Missing("nope".to_owned()))
        );
    }

    #[test]
    fn claims_win_over_defaults() {
        assert_eq!(run("sha", &[("sha", "abc")]).unwrap(), "abc");
        assert_eq!(run("sha", &[]).unwrap(), "default");
    }

    #[test]
    fn fields_are_joined_with_text_and_never_escaped() {
        assert_eq!(
            run("{{ .url }}/{{.repository}}", &[("repository", "a&<\"b")]).unwrap(),
            "https://github.com/a&<\"b"
        );
    }

    #[test]
    fn a_missing_field_is_an_error_and_names_it() {
        assert_eq!(
            run("{{ .url }}/{{ .gone }}", &[]),
            Err(EvaluationError::Missing("gone".to_owned()))
        );
    }

    #[test]
    fn index_reads_odd_names_and_is_empty_when_missing() {
        assert_eq!(
            run(r#"{{ index . "a.b/c" }}"#, &[("a.b/c", "x")]).unwrap(),
            "x"
        );
        assert_eq!(run(r#"[{{ index . "gone" }}]"#, &[]).unwrap(), "[]");
    }

    #[test]
    fn conditions_choose_a_branch() {
        let template = r#"refs/{{if eq .ref_type "branch"}}heads/{{ else }}tags/{{end}}{{.ref}}"#;
        assert_eq!(
            run(template, &[("ref_type", "branch"), ("ref", "main")]).unwrap(),
            "refs/heads/main"
        );
        assert_eq!(
            run(template, &[("ref_type", "tag"), ("ref", "v1")]).unwrap(),
            "refs/tags/v1"
        );
    }

    #[test]
    fn else_if_and_functions_in_parentheses() {
        let template =
            r#"{{if and (eq .a "1") (ne .b "2")}}x{{else if or .c (not .a)}}y{{else}}z{{end}}"#;
        assert_eq!(
            run(template, &[("a", "1"), ("b", "3"), ("c", "")]).unwrap(),
            "x"
        );
        assert_eq!(
            run(template, &[("a", "1"), ("b", "2"), ("c", "c")]).unwrap(),
            "y"
        );
        assert_eq!(
            run(template, &[("a", "1"), ("b", "2"), ("c", "")]).unwrap(),
            "z"
        );
        assert_eq!(
            run(r#"{{if eq .a "1" "2"}}in{{end}}"#, &[("a", "2")]).unwrap(),
            "in"
        );
    }

    #[test]
    fn trim_markers_remove_white_space() {
        assert_eq!(
            run("a \n {{- .url -}} \t b", &[]).unwrap(),
            "ahttps://github.comb"
        );
        assert_eq!(run("a {{/* why */ -}} b", &[]).unwrap(), "a b");
    }

    #[test]
    fn what_is_not_understood_is_refused_when_parsed() {
        for bad in [
            "{{ .a",
            "{{ }}",
            "{{ end }}",
            "{{ else }}",
            "{{ if .a }}x",
            "{{ if }}x{{end}}",
            "{{ .a | printf \"x\" }}",
            "{{ printf \"x\" }}",
            "{{ range .a }}{{end}}",
            "{{ eq .a }}",
            "{{ eq .a \"b }}",
            "{{ (eq .a \"b\" }}",
            "{{ index .a \"b\" }}",
            "{{ .a.b }}",
            "{{ . }}",
            "{{ eq .a 1 }}",
            "{{ if .a }}x{{else}}y{{else}}z{{end}}",
        ] {
            assert!(Template::parse(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn output_is_bounded() {
        let long = "x".repeat(3000);
        assert_eq!(
            run("{{.a}}{{.a}}", &[("a", &long)]),
            Err(EvaluationError::TooLong)
        );
    }
}
