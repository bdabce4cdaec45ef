//! What Chromium logged of a page: its console, and the fate of each request.
//!
//! WebDriver itself has no logs; the command is the one that Chromium's driver adds to it.

use fantoccini::Client;
use fantoccini::error::CmdError;
use fantoccini::wd::WebDriverCompatibleCommand;
use http::Method;
use serde_json::{Value, json};
use url::{ParseError, Url};

/// Takes the lines of a log that were not taken yet.
#[derive(Debug)]
struct Take(&'static str);

impl WebDriverCompatibleCommand for Take {
    fn endpoint(&self, driver: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        driver.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "type": self.0 }).to_string()))
    }
}

/// The event that tells of an answer.
const ANSWER: &str = "Network.responseReceived";

/// What Chromium told since it was asked last.
pub(crate) struct Told {
    /// What a good page never causes: a line on the console, an exception among them, a request
    /// that fails, and one that is refused.
    pub(crate) wrong: Vec<String>,
    /// Requests that were answered, whatever the answer was.
    pub(crate) answered: usize,
}

/// Takes what was logged.
pub(crate) async fn told(page: &Client) -> Result<Told, CmdError> {
    let printed = take(page, "browser").await?;
    let requests = take(page, "performance").await?;
    let wrong = printed.iter().map(console).chain(requests.iter().filter_map(request)).collect();
    let events = requests.iter().filter_map(event);
    let answered = events.filter(|event| event["method"] == ANSWER).count();
    Ok(Told { wrong, answered })
}

async fn take(page: &Client, name: &'static str) -> Result<Vec<Value>, CmdError> {
    match page.issue_cmd(Take(name)).await? {
        Value::Array(lines) => Ok(lines),
        other => Err(CmdError::NotW3C(other)),
    }
}

fn console(line: &Value) -> String {
    format!("console, {}: {}", line["level"], line["message"])
}

/// A line of the performance log holds an event of the DevTools protocol, as text.
fn event(line: &Value) -> Option<Value> {
    let mut event = line["message"].as_str()?.parse::<Value>().ok()?;
    Some(event["message"].take())
}

fn request(line: &Value) -> Option<String> {
    let Some(event) = event(line) else {
        return Some(format!("a line of the log is no event: {line}"));
    };
    let facts = &event["params"];
    match event["method"].as_str()? {
        "Network.loadingFailed" => Some(format!("a request failed: {facts}")),
        ANSWER => {
            let (status, url) = (&facts["response"]["status"], &facts["response"]["url"]);
            (status.as_u64()? >= 400).then(|| format!("a request was answered {status}: {url}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_fails_or_is_refused_is_told() {
        let table = [
            ("Network.loadingFailed", json!({ "errorText": "net::ERR_FAILED" }), true),
            ("Network.responseReceived", json!({ "response": { "status": 404 } }), true),
            ("Network.responseReceived", json!({ "response": { "status": 500 } }), true),
            ("Network.responseReceived", json!({ "response": { "status": 304 } }), false),
            ("Network.loadingFinished", json!({}), false),
        ];
        for (method, params, is_wrong) in table {
            let event = json!({ "message": { "method": method, "params": params } });
            let line = json!({ "level": "INFO", "message": event.to_string() });
            assert_eq!(request(&line).is_some(), is_wrong, "{line}");
        }
        assert!(request(&json!({ "message": "no event" })).is_some());
    }
}
