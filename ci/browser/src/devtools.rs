//! The DevTools protocol, as far as looking at one page needs it: commands with answers, and what
//! went wrong in the page, over one WebSocket.
//!
//! Crates that wrap the whole protocol generate some ten thousand types from it and take minutes to
//! build; here a command is its name and its JSON, as in the protocol's own documentation.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tungstenite::{Error, Message, WebSocket};

/// How long the browser may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one read waits before the deadline is looked at.
const TICK: Duration = Duration::from_millis(50);

/// A page of a running browser.
pub(crate) struct Page {
    socket: WebSocket<TcpStream>,
    last_id: u64,
    session: Option<String>,
    loaded: bool,
    /// What the page printed, threw, or failed to load, in order.
    pub(crate) wrong: Vec<String>,
}

impl Page {
    /// Opens an empty page in the browser whose DevTools listen at `url`, and listens to it.
    pub(crate) fn open(url: &str) -> Result<Self> {
        let address = url.strip_prefix("ws://").and_then(|rest| rest.split('/').next());
        let address = address.with_context(|| format!("`{url}` is no address of DevTools"))?;
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let (socket, _) = tungstenite::client(url, stream).context("greet DevTools")?;
        socket.get_ref().set_read_timeout(Some(TICK))?;
        let mut page = Self { socket, last_id: 0, session: None, loaded: false, wrong: Vec::new() };
        let target = page.call("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = page.call("Target.attachToTarget", attach)?;
        page.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(page)
    }

    /// Goes to an address and waits until everything on the page has loaded.
    pub(crate) fn navigate(&mut self, url: &str) -> Result<()> {
        self.loaded = false;
        let answer = self.call("Page.navigate", json!({ "url": url }))?;
        if let Some(error) = answer["errorText"].as_str() {
            bail!("{url}: {error}");
        }
        let deadline = Instant::now() + PATIENCE;
        while !self.loaded {
            if Instant::now() > deadline {
                bail!("{url} had not loaded after {PATIENCE:?}");
            }
            self.read()?;
        }
        Ok(())
    }

    /// The text of an element, by its selector.
    pub(crate) fn text(&mut self, selector: &str) -> Result<String> {
        let found = self.evaluate(&format!("document.querySelector({selector:?})?.textContent"))?;
        let text = found.as_str().with_context(|| format!("there is no {selector} on the page"))?;
        Ok(text.trim().to_owned())
    }

    /// Clicks into the middle of an element with a real mouse event: one that something else lies
    /// upon is not clicked.
    pub(crate) fn click(&mut self, selector: &str) -> Result<()> {
        let place = self.evaluate(&format!(
            "(() => {{ const it = document.querySelector({selector:?}); it.scrollIntoView(); \
             const r = it.getBoundingClientRect(); \
             return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ))?;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1
            });
            self.call("Input.dispatchMouseEvent", event)?;
        }
        Ok(())
    }

    /// What the page looks like, as a PNG.
    pub(crate) fn screenshot(&mut self) -> Result<Vec<u8>> {
        let answer = self.call("Page.captureScreenshot", json!({ "format": "png" }))?;
        let data = answer["data"].as_str().context("the screenshot has no data")?;
        data_encoding::BASE64.decode(data.as_bytes()).context("the screenshot's data")
    }

    /// Reads what the page says for a while.
    pub(crate) fn listen(&mut self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            self.read()?;
        }
        Ok(())
    }

    fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let ask = json!({ "expression": expression, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", ask)?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            bail!("{expression}: {thrown}");
        }
        Ok(answer["result"]["value"].take())
    }

    fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(message.to_string()))?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some(mut answer) = self.read()? else { continue };
            if answer["id"] != json!(self.last_id) {
                continue;
            }
            if let Some(error) = answer.get("error") {
                bail!("{method}: {error}");
            }
            return Ok(answer["result"].take());
        }
        bail!("{method} was not answered within {PATIENCE:?}")
    }

    /// Reads one message, and notes it when it tells of the page; None when none came.
    fn read(&mut self) -> Result<Option<Value>> {
        let message = match self.socket.read() {
            Ok(Message::Text(text)) => serde_json::from_str(&text).context("read DevTools")?,
            Ok(_) => return Ok(None),
            Err(Error::Io(error)) if is_timeout(&error) => return Ok(None),
            Err(error) => return Err(error).context("the browser is gone"),
        };
        self.note(&message);
        Ok(Some(message))
    }

    fn note(&mut self, message: &Value) {
        if message["method"] == "Page.loadEventFired" {
            self.loaded = true;
        }
        self.wrong.extend(wrong(message));
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

/// What an event tells that a good page never causes.
fn wrong(event: &Value) -> Option<String> {
    let facts = &event["params"];
    match event["method"].as_str()? {
        "Runtime.consoleAPICalled" => {
            Some(format!("console.{}: {}", facts["type"].as_str()?, facts["args"]))
        }
        "Runtime.exceptionThrown" => Some(format!("thrown: {}", facts["exceptionDetails"])),
        "Log.entryAdded" => Some(format!("console: {}", facts["entry"])),
        "Network.loadingFailed" => Some(format!("request failed: {facts}")),
        "Network.responseReceived" => {
            let response = &facts["response"];
            let (status, url) = (response["status"].as_u64()?, &response["url"]);
            (status >= 400).then(|| format!("request answered with {status}: {url}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_good_page_never_causes_is_noted() {
        let table = [
            ("Runtime.consoleAPICalled", json!({ "type": "log", "args": [] }), true),
            ("Runtime.exceptionThrown", json!({}), true),
            ("Log.entryAdded", json!({ "entry": { "text": "x" } }), true),
            ("Network.loadingFailed", json!({ "errorText": "net::ERR_FAILED" }), true),
            ("Network.responseReceived", json!({ "response": { "status": 404 } }), true),
            ("Network.responseReceived", json!({ "response": { "status": 304 } }), false),
            ("Network.loadingFinished", json!({}), false),
        ];
        for (method, params, is_wrong) in table {
            let event = json!({ "method": method, "params": params });
            assert_eq!(wrong(&event).is_some(), is_wrong, "{method}");
        }
    }
}
