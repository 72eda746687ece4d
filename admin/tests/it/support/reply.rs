//! A reply as a person and a browser see it.

/// Elements that stand in the middle of words.
const INLINE: [&str; 7] = ["a", "bdi", "code", "small", "span", "strong", "time"];

/// A reply.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    /// The first header of this (lower-case) name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// The same reply, which has this status.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}\n{}", self.header("location"), self.body);
        self
    }

    /// The same reply, which shows this.
    #[track_caller]
    pub(crate) fn shows(self, text: &str) -> Self {
        assert!(self.body.contains(text), "no {text:?} in: {}", self.body);
        self
    }

    /// The same reply, which says this to a person: without tags, and with one space for each gap.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        let text = self.text();
        assert!(text.contains(words), "{words:?} is not said in: {text}");
        self
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for piece in self.body.split('<') {
            let (tag, words) = piece.split_once('>').unwrap_or(("", piece));
            let name = tag.trim_start_matches('/').split(' ').next().unwrap();
            if !INLINE.contains(&name) {
                text.push(' ');
            }
            text.push_str(words);
        }
        unescaped(&text.replace("&nbsp;", " ")).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The same reply, which does not show this.
    #[track_caller]
    pub(crate) fn hides(self, text: &str) -> Self {
        assert!(!self.body.contains(text), "{text:?} in: {}", self.body);
        self
    }

    /// Where it leads; it must be a redirection after a form.
    #[track_caller]
    pub(crate) fn leads_to(self, path: &str) -> Self {
        let reply = self.is(303);
        assert_eq!(reply.header("location"), Some(path));
        reply
    }

    /// The hidden fields of the form that is sent to `action`.
    #[track_caller]
    pub(crate) fn hidden(&self, action: &str) -> Vec<(String, String)> {
        let form = self.form(action).unwrap_or_else(|| panic!("no form for {action} in: {}", self.body));
        let inputs = form.split("<input ").skip(1).map(|rest| rest.split('>').next().unwrap());
        let hidden = inputs.filter(|input| input.contains("type=\"hidden\""));
        hidden.map(|input| (attribute(input, "name"), attribute(input, "value"))).collect()
    }

    /// Whether it offers a form that is sent to `action`.
    pub(crate) fn offers(&self, action: &str) -> bool {
        self.form(action).is_some()
    }

    fn form(&self, action: &str) -> Option<&str> {
        let wanted = format!("action=\"{action}\"");
        self.body.split("<form ").skip(1).map(|rest| rest.split("</form>").next().unwrap()).find(|form| {
            let head = form.split('>').next().unwrap();
            head.contains("method=\"post\"")
                && (head.contains(&wanted) || (action.is_empty() && !head.contains("action=")))
        })
    }

    /// What is behind the links that begin like this, in their order, each once.
    pub(crate) fn links(&self, beginning: &str) -> Vec<String> {
        let wanted = format!("href=\"{beginning}");
        let mut found: Vec<String> = Vec::new();
        for rest in self.body.split(&wanted).skip(1) {
            let end = rest.split(['"', '?']).next().unwrap().to_owned();
            if !found.contains(&end) {
                found.push(end);
            }
        }
        found
    }

    /// Where the rows of a table lead, by the links in their headings, in their order.
    pub(crate) fn rows(&self) -> Vec<String> {
        let headings = self.body.split("<th scope=\"row\"><a href=\"").skip(1);
        headings.map(|rest| unescaped(rest.split('"').next().unwrap())).collect()
    }

    /// Where the link to another page of the same list leads: `first`, `prev` or `next`; `None` where there is none.
    pub(crate) fn page(&self, rel: &str) -> Option<String> {
        let (before, _) = self.body.split_once(&format!("\" rel=\"{rel}\">"))?;
        Some(unescaped(before.rsplit("href=\"").next().unwrap()))
    }

    /// What stands between two texts, as a person reads it.
    #[track_caller]
    pub(crate) fn between(&self, before: &str, after: &str) -> String {
        let rest = self.body.split_once(before).unwrap_or_else(|| panic!("no {before:?} in: {}", self.body)).1;
        unescaped(rest.split(after).next().unwrap())
    }
}

fn attribute(input: &str, name: &str) -> String {
    let wanted = format!("{name}=\"");
    let value = input.split_once(&wanted).map(|(_, rest)| rest.split('"').next().unwrap());
    unescaped(value.unwrap_or_default())
}

fn unescaped(text: &str) -> String {
    let pairs = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    pairs.into_iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}
