//! Every reason of a refusal, as the description tells it, and which operations give it.

use std::collections::BTreeMap;

use shared::refusal::Reason;
use utoipa::IntoResponses;
use utoipa::openapi::example::Example;
use utoipa::openapi::schema::{AllOf, Object, Schema};
use utoipa::openapi::{Content, Ref, RefOr, Response};

use super::schema::one_of_words;
use super::told::told;
use crate::reply::Failure;

/// Operations that are refused for the same reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// Calls, which are charged.
    Calls,
    /// Reading without parameters.
    Reads,
    /// Reading with a query.
    Queries,
    /// One model by its name.
    OneModel,
    /// Reading with the key in a body.
    KeyedReads,
    /// What needs no key.
    Open,
}

impl Group {
    pub(super) const ALL: [Self; 6] =
        [Self::Calls, Self::Reads, Self::Queries, Self::OneModel, Self::KeyedReads, Self::Open];

    const fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Reads => "reads",
            Self::Queries => "queries",
            Self::OneModel => "one-model",
            Self::KeyedReads => "keyed-reads",
            Self::Open => "open",
        }
    }

    /// Whether operations of this group are refused for `reason`.
    fn has(self, reason: Reason) -> bool {
        use Reason as R;
        let keyed = matches!(
            reason,
            R::MissingApiKey
                | R::InvalidApiKey
                | R::IpNotAllowed
                | R::TenantSuspended
                | R::MethodNotAllowed
                | R::Unavailable
                | R::InternalError
        );
        match self {
            // Of the paths that exist.
            Self::Calls => reason != R::NotFound,
            Self::Reads => keyed,
            Self::Queries => keyed || reason == R::InvalidParameter,
            Self::OneModel => keyed || matches!(reason, R::ModelNotFound | R::ModelNotAllowed),
            Self::KeyedReads => {
                keyed
                    || matches!(
                        reason,
                        R::InvalidJson | R::InvalidParameter | R::UnsupportedMediaType | R::RequestTooLarge
                    )
            }
            Self::Open => reason == R::MethodNotAllowed,
        }
    }

    /// The statuses of its refusals, and the reasons of each.
    fn statuses(self) -> BTreeMap<u16, Vec<Reason>> {
        let mut statuses: BTreeMap<u16, Vec<Reason>> = BTreeMap::new();
        for reason in Reason::ALL.into_iter().filter(|reason| self.has(*reason)) {
            statuses.entry(reason.status()).or_default().push(reason);
        }
        statuses
    }

    fn references(self) -> BTreeMap<String, RefOr<Response>> {
        let reference = |status| RefOr::Ref(Ref::new(format!("#/components/responses/{}", self.component(status))));
        self.statuses().into_keys().map(|status| (status.to_string(), reference(status))).collect()
    }

    fn component(self, status: u16) -> String {
        format!("{}-{status}", self.name())
    }
}

/// The replies that operations refer to, by name.
pub(super) fn components() -> BTreeMap<String, RefOr<Response>> {
    let named = Group::ALL.into_iter().flat_map(|group| {
        let statuses = group.statuses().into_iter();
        statuses.map(move |(status, reasons)| (group.component(status), RefOr::T(response(&reasons))))
    });
    let unknown_path = ("unknown-path-404".to_owned(), RefOr::T(response(&[Reason::NotFound])));
    named.chain([unknown_path]).collect()
}

/// The table of all reasons, in Markdown.
pub(super) fn table() -> String {
    let row = |reason: Reason| {
        let (status, code, family, name) = (reason.status(), reason.code(), reason.family(), reason.name());
        format!("| {status} | {code} | `{family}` | `{name}` | {} |\n", told(reason).when)
    };
    let rows: String = Reason::ALL.into_iter().map(row).collect();
    format!("| HTTP | `code` | `error.type` | `error.code` | when |\n|---|---|---|---|---|\n{rows}")
}

fn response(reasons: &[Reason]) -> Response {
    let mut when: Vec<&str> = reasons.iter().map(|reason| told(*reason).when).collect();
    when.dedup();
    let mut content = Content::new(Some(schema(reasons)));
    for reason in reasons {
        let mut example = Example::new();
        example.summary = told(*reason).when.to_owned();
        example.value = serde_json::to_value(Failure::of(&told(*reason).refusal(*reason))).ok();
        content.examples.insert(reason.name().to_owned(), RefOr::T(example));
    }
    let mut response = Response::new(when.join(" Or: "));
    response.content.insert("application/json".to_owned(), RefOr::T(content));
    for reason in reasons {
        super::headers::add_of_refusal(&mut response, *reason);
    }
    response
}

/// The object of a failure, for these reasons only.
fn schema(reasons: &[Reason]) -> RefOr<Schema> {
    let codes: Vec<u32> = reasons.iter().map(|reason| reason.code()).collect();
    let error = Object::builder()
        .property("type", one_of_words(reasons.iter().map(|reason| reason.family())))
        .property("code", one_of_words(reasons.iter().map(|reason| reason.name())));
    let narrowed = Object::builder().property("code", super::schema::one_of_numbers(codes)).property("error", error);
    Schema::AllOf(AllOf::builder().item(Ref::from_schema_name("Failure")).item(narrowed).build()).into()
}

/// Declares what a handler's annotation names, for each group.
macro_rules! refusals_of {
    ($($name:ident = $group:expr),+ $(,)?) => {$(
        #[doc = concat!("Why operations of [`", stringify!($group), "`] are refused.")]
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                $group.references()
            }
        }
    )+};
}

refusals_of! {
    CallRefusals = Group::Calls,
    ReadRefusals = Group::Reads,
    QueryRefusals = Group::Queries,
    ModelRefusals = Group::OneModel,
    KeyedReadRefusals = Group::KeyedReads,
    OpenRefusals = Group::Open,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_reason_is_told_with_an_example() {
        let components = components();
        let table = table();
        let mut shown = BTreeMap::new();
        for response in components.values() {
            let RefOr::T(response) = response else { panic!("a component is no reference") };
            let RefOr::T(content) = &response.content["application/json"] else { panic!("no content") };
            for (name, example) in &content.examples {
                let RefOr::T(example) = example else { panic!("an example is no reference") };
                shown.insert(name.clone(), example.value.clone().unwrap());
            }
        }
        let mut names = Reason::ALL.map(|reason| reason.name().to_owned());
        names.sort();
        assert!(shown.keys().eq(names.iter()), "{:?}", shown.keys());
        for reason in Reason::ALL {
            let (code, family, name) = (reason.code(), reason.family(), reason.name());
            let example = &shown[name];
            let message = told(reason).message;
            let expected = json!({
                "code": code, "msg": message,
                "error": {"message": message, "type": family, "param": told(reason).param, "code": name},
            });
            assert_eq!(*example, expected);
            let row = format!("| {} | {code} | `{family}` | `{name}` | {} |", reason.status(), told(reason).when);
            assert!(table.contains(&row), "{row}");
        }
    }
}
