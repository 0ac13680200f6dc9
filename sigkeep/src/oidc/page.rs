//! The pages that people see. No scripts, no images, nothing from elsewhere.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::{Issuer, Shape};

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:12vh auto;padding:0 1.25rem}\
h1{font-size:1.35rem;margin:0 0 1rem}\
label{display:block;margin:1rem 0 .25rem;font-weight:600}\
input,button{font:inherit;padding:.55rem .7rem;border-radius:.4rem;border:1px solid #8889;box-sizing:border-box}\
input{width:100%}\
button{margin:1.25rem .5rem 0 0;background:#1d4ed8;color:#fff;border-color:#1d4ed8;cursor:pointer}\
button.quiet{background:transparent;color:inherit;border-color:#8889}\
code{font:15px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}\
.note{margin-top:2.5rem;padding-top:.75rem;border-top:1px solid #8886;font-size:.875rem;opacity:.8}\
.wrong{color:#b91c1c;font-weight:600}";

const NOTE: &str = "This issuer is for development. It asks for no password: \
whoever reaches it may sign in as anybody, which is why it listens on this machine only.";

/// `GET /`
pub(super) async fn front(State(issuer): State<Arc<Issuer>>) -> Response {
    let mut body = String::from(
        "<p>Sigstore clients come here by themselves when they need to know who signs. \
         In scripts, <code>sigkeep token</code> prints a token.</p><p>Issuers:</p><ul>",
    );
    for shape in Shape::ALL {
        let _ = write!(body, "<li><code>{}</code></li>", escape(&issuer.url(shape)));
    }
    body.push_str("</ul>");
    document(StatusCode::OK, "Development identity provider", &body)
}

/// Asks who signs in; `hidden` parameters travel with the answer.
pub(super) fn sign_in(
    status: StatusCode,
    hidden: &[(&str, Option<&str>)],
    email: &str,
    wrong: Option<&str>,
) -> Response {
    let mut body = complaint(wrong);
    body.push_str("<form method=\"post\" action=\"/authorize\">");
    for (name, value) in hidden {
        if let Some(value) = value {
            let _ = write!(
                body,
                "<input type=\"hidden\" name=\"{name}\" value=\"{}\">",
                escape(value)
            );
        }
    }
    let _ = write!(
        body,
        "{}<button type=\"submit\">Sign in</button></form>",
        email_field(email)
    );
    document(status, "Sign in to Sigkeep", &body)
}

/// Asks for a user code and who approves it.
pub(super) fn device(
    status: StatusCode,
    user_code: &str,
    email: &str,
    wrong: Option<&str>,
) -> Response {
    let mut body = complaint(wrong);
    let _ = write!(
        body,
        "<form method=\"post\" action=\"/device\">\
         <label for=\"user_code\">Code shown in the terminal</label>\
         <input id=\"user_code\" name=\"user_code\" value=\"{}\" required autocomplete=\"off\" spellcheck=\"false\">\
         {}\
         <button type=\"submit\" name=\"decision\" value=\"approve\">Approve</button>\
         <button type=\"submit\" name=\"decision\" value=\"deny\" class=\"quiet\" formnovalidate>Deny</button></form>",
        escape(user_code),
        email_field(email),
    );
    document(status, "Approve a sign-in", &body)
}

/// Says something, with an optional code to copy.
pub(super) fn message(status: StatusCode, title: &str, text: &str, code: Option<&str>) -> Response {
    let mut body = format!("<p>{}</p>", escape(text));
    if let Some(code) = code {
        let _ = write!(body, "<p><code>{}</code></p>", escape(code));
    }
    document(status, title, &body)
}

fn complaint(wrong: Option<&str>) -> String {
    wrong
        .map(|wrong| format!("<p class=\"wrong\" role=\"alert\">{}</p>", escape(wrong)))
        .unwrap_or_default()
}

fn email_field(email: &str) -> String {
    format!(
        "<label for=\"email\">E-mail address</label>\
         <input id=\"email\" name=\"email\" type=\"email\" value=\"{}\" placeholder=\"dev@corp.example\" \
         required autofocus autocomplete=\"email\">",
        escape(email)
    )
}

fn document(status: StatusCode, title: &str, body: &str) -> Response {
    let title = escape(title);
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><main><h1>{title}</h1>{body}<p class=\"note\">{NOTE}</p></main></body></html>\n"
    );
    (status, Html(page)).into_response()
}

/// For text and for double-quoted attribute values.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_says_cannot_become_markup() {
        assert_eq!(
            escape(r#""><script>'&"#),
            "&quot;&gt;&lt;script&gt;&#39;&amp;"
        );
        assert!(email_field("\"><b>").contains("value=\"&quot;&gt;&lt;b&gt;\""));
    }
}
