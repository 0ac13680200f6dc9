//! Parsing of templates.

use std::iter::Peekable;
use std::vec::IntoIter;

use super::{Expression, Node};

/// Bound on nested blocks and parentheses: configuration is trusted, the stack is finite.
const MAX_DEPTH: usize = 32;

type Parsed<T> = Result<T, String>;

/// A piece between or inside `{{` and `}}`.
enum Segment {
    Literal(String),
    Action(Vec<Token>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Dot,
    Field(String),
    Word(String),
    Text(String),
}

/// How a list of nodes ended.
enum Stop {
    Input,
    Else,
    ElseIf(Expression),
    End,
}

/// Parses the text of a template.
pub(super) fn nodes(text: &str) -> Parsed<Vec<Node>> {
    let mut segments = segments(text)?.into_iter();
    match list(&mut segments, 0)? {
        (nodes, Stop::Input) => Ok(nodes),
        (_, Stop::End) => Err("{{end}} without {{if}}".to_owned()),
        (_, Stop::Else | Stop::ElseIf(_)) => Err("{{else}} without {{if}}".to_owned()),
    }
}

fn segments(text: &str) -> Parsed<Vec<Segment>> {
    let mut segments = Vec::new();
    let mut rest = text;
    let mut trim_left = false;
    while let Some((literal, after)) = rest.split_once("{{") {
        let (action, next, trims_before, trims_after) = action(after)?;
        let literal = if trim_left {
            literal.trim_start()
        } else {
            literal
        };
        let literal = if trims_before {
            literal.trim_end()
        } else {
            literal
        };
        if !literal.is_empty() {
            segments.push(Segment::Literal(literal.to_owned()));
        }
        if let Some(tokens) = action {
            segments.push(Segment::Action(tokens));
        }
        trim_left = trims_after;
        rest = next;
    }
    let literal = if trim_left { rest.trim_start() } else { rest };
    if !literal.is_empty() {
        segments.push(Segment::Literal(literal.to_owned()));
    }
    Ok(segments)
}

/// Reads an action whose `{{` is consumed: its tokens (`None` for a comment), what follows it, and
/// whether it trims before and after.
fn action(after: &str) -> Parsed<(Option<Vec<Token>>, &str, bool, bool)> {
    let trimmed = after
        .strip_prefix('-')
        .filter(|rest| rest.starts_with(char::is_whitespace));
    let (trims_before, body) = (trimmed.is_some(), trimmed.unwrap_or(after));
    if let Some(comment) = body.trim_start().strip_prefix("/*") {
        let (_, tail) = comment.split_once("*/").ok_or("a comment is not closed")?;
        let (before_close, next) = tail
            .split_once("}}")
            .ok_or("an action is not closed with }}")?;
        let trims_after = match before_close.trim() {
            "" => false,
            "-" => true,
            other => return Err(format!("unexpected {other:?} after a comment")),
        };
        return Ok((None, next, trims_before, trims_after));
    }
    let mut tokens = Vec::new();
    let mut rest = body;
    loop {
        let spaced = rest.starts_with(char::is_whitespace);
        rest = rest.trim_start();
        if let Some(next) = rest.strip_prefix("}}") {
            return Ok((Some(tokens), next, trims_before, false));
        }
        if let Some(next) = rest.strip_prefix("-}}").filter(|_| spaced) {
            return Ok((Some(tokens), next, trims_before, true));
        }
        let (token, next) = token(rest)?;
        tokens.push(token);
        rest = next;
    }
}

fn token(rest: &str) -> Parsed<(Token, &str)> {
    let mut characters = rest.chars();
    let first = characters.next().ok_or("an action is not closed with }}")?;
    let after = characters.as_str();
    match first {
        '(' => Ok((Token::Open, after)),
        ')' => Ok((Token::Close, after)),
        '`' => after
            .split_once('`')
            .map(|(text, next)| (Token::Text(text.to_owned()), next))
            .ok_or_else(|| "a string is not closed".to_owned()),
        '"' => quoted(after),
        '.' => {
            let (name, next) = word(after);
            if name.is_empty() {
                Ok((Token::Dot, next))
            } else if next.starts_with('.') {
                Err(format!(
                    "`.{name}.…`: claims have no fields; write {{{{ index . \"{name}.…\" }}}}"
                ))
            } else {
                Ok((Token::Field(name.to_owned()), next))
            }
        }
        _ => {
            let (name, next) = word(rest);
            if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                Err(format!("{first:?} is not understood here"))
            } else {
                Ok((Token::Word(name.to_owned()), next))
            }
        }
    }
}

fn word(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    text.split_at(end)
}

/// A double-quoted string whose opening quote is consumed; JSON's escapes, which Go shares.
fn quoted(after: &str) -> Parsed<(Token, &str)> {
    let mut escaped = false;
    for (position, character) in after.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                let (text, next) = after.split_at(position);
                let text = serde_json::from_str(&format!("\"{text}\""))
                    .map_err(|error| format!("string \"{text}\": {error}"))?;
                return Ok((Token::Text(text), next.get(1..).unwrap_or_default()));
            }
            _ => {}
        }
    }
    Err("a string is not closed".to_owned())
}

fn list(segments: &mut IntoIter<Segment>, depth: usize) -> Parsed<(Vec<Node>, Stop)> {
    if depth > MAX_DEPTH {
        return Err("nested too deeply".to_owned());
    }
    let mut nodes = Vec::new();
    while let Some(segment) = segments.next() {
        let tokens = match segment {
            Segment::Literal(text) => {
                nodes.push(Node::Literal(text));
                continue;
            }
            Segment::Action(tokens) => tokens,
        };
        let keyword = match tokens.first() {
            Some(Token::Word(word)) => word.as_str(),
            _ => "",
        };
        let rest = || tokens.iter().skip(1).cloned().collect::<Vec<_>>();
        match keyword {
            "end" if tokens.len() == 1 => return Ok((nodes, Stop::End)),
            "else" if tokens.len() == 1 => return Ok((nodes, Stop::Else)),
            "else" if tokens.get(1) == Some(&Token::Word("if".to_owned())) => {
                let condition = expression(tokens.into_iter().skip(2).collect())?;
                return Ok((nodes, Stop::ElseIf(condition)));
            }
            "if" => nodes.push(conditional(expression(rest())?, segments, depth)?),
            _ => nodes.push(Node::Print(expression(tokens)?)),
        }
    }
    Ok((nodes, Stop::Input))
}

fn conditional(first: Expression, segments: &mut IntoIter<Segment>, depth: usize) -> Parsed<Node> {
    let mut branches = Vec::new();
    let mut condition = first;
    loop {
        let (body, end) = list(segments, depth + 1)?;
        branches.push((condition, body));
        match end {
            Stop::End => return Ok(Node::If(branches, Vec::new())),
            Stop::ElseIf(next) => condition = next,
            Stop::Else => {
                return match list(segments, depth + 1)? {
                    (otherwise, Stop::End) => Ok(Node::If(branches, otherwise)),
                    (_, Stop::Input) => Err("{{if}} without {{end}}".to_owned()),
                    (_, Stop::Else | Stop::ElseIf(_)) => Err("{{else}} after {{else}}".to_owned()),
                };
            }
            Stop::Input => return Err("{{if}} without {{end}}".to_owned()),
        }
    }
}

fn expression(tokens: Vec<Token>) -> Parsed<Expression> {
    let mut tokens = tokens.into_iter().peekable();
    let expression = call(&mut tokens, 0)?;
    match tokens.next() {
        None => Ok(expression),
        Some(token) => Err(format!("unexpected {token:?}")),
    }
}

/// A function with its operands, or a single operand.
fn call(tokens: &mut Peekable<IntoIter<Token>>, depth: usize) -> Parsed<Expression> {
    if depth > MAX_DEPTH {
        return Err("nested too deeply".to_owned());
    }
    let Some(Token::Word(function)) = tokens.next_if(|token| matches!(token, Token::Word(_)))
    else {
        return operand(tokens, depth);
    };
    if function == "index" {
        tokens
            .next_if_eq(&Token::Dot)
            .ok_or("only `index . \"name\"` is understood")?;
        return Ok(Expression::Index(Box::new(operand(tokens, depth)?)));
    }
    let mut operands = Vec::new();
    while tokens.peek().is_some_and(|token| *token != Token::Close) {
        operands.push(operand(tokens, depth)?);
    }
    let count = operands.len();
    let mut taken = operands.drain(..);
    let expression = match (function.as_str(), count) {
        ("eq", 2..) => Some(Expression::Eq(taken.collect())),
        ("and", 1..) => Some(Expression::And(taken.collect())),
        ("or", 1..) => Some(Expression::Or(taken.collect())),
        ("not", 1) => taken.next().map(|one| Expression::Not(Box::new(one))),
        ("ne", 2) => taken
            .next()
            .zip(taken.next())
            .map(|(left, right)| Expression::Ne(Box::new(left), Box::new(right))),
        ("eq" | "and" | "or" | "not" | "ne", _) => {
            return Err(format!("wrong number of operands for `{function}`"));
        }
        _ => {
            return Err(format!(
                "`{function}` is not supported (only index, eq, ne, and, or, not, if)"
            ));
        }
    };
    expression.ok_or_else(|| format!("wrong number of operands for `{function}`"))
}

fn operand(tokens: &mut Peekable<IntoIter<Token>>, depth: usize) -> Parsed<Expression> {
    match tokens.next() {
        Some(Token::Text(text)) => Ok(Expression::Text(text)),
        Some(Token::Field(name)) => Ok(Expression::Claim(name)),
        Some(Token::Open) => {
            let inner = call(tokens, depth + 1)?;
            tokens
                .next_if_eq(&Token::Close)
                .ok_or("a parenthesis is not closed")?;
            Ok(inner)
        }
        Some(token) => Err(format!("unexpected {token:?}")),
        None => Err("something is missing".to_owned()),
    }
}
