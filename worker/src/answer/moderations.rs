//! The judgements in a whole answer, which reach the client as they came.

use serde::Deserialize;
use serde_json::value::RawValue;
use shared::json_object::parse_list;
use shared::queue::Job;

use super::Nonsense;
use super::meter::most_choices;
use super::object::parse;

/// Checks that there is a judgement for each input.
///
/// # Errors
/// When fewer came, or one is none.
pub(super) fn check(job: &Job, results: &RawValue) -> Result<(), Nonsense> {
    let entries = parse_list(results, most_choices(job))?;
    // More than one for all parts of an input together does no harm.
    if i64::try_from(entries.len()).unwrap_or(i64::MAX) < job.choices.max(1) {
        return Err(Nonsense::OtherNumber { what: "results", found: entries.len(), asked: job.choices });
    }
    for entry in entries {
        let result: Judgement<'_> = parse(entry)?;
        if !result.flagged.is_some_and(|flagged| matches!(flagged.get(), "true" | "false")) {
            return Err(Nonsense::Missing("flagged in a result"));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Judgement<'a> {
    #[serde(borrow, default)]
    flagged: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use shared::queue::Endpoint;

    use super::super::sample::job;
    use super::super::{Excerpt, WholeAnswer};
    use super::*;

    fn read(choices: i64, json: &str) -> Result<String, Nonsense> {
        let answer = WholeAnswer::read(&job(Endpoint::Moderations, choices), &json.to_owned().into())?;
        assert_eq!((answer.tally.tokens, answer.usage, answer.images), (0, None, 0));
        Ok(String::from_utf8(answer.into_reply(7, 0).to_vec()).unwrap())
    }

    #[test]
    fn judgements_pass_through() {
        let results = r#"[ {"flagged":false,"categories":{"hate":false},"category_scores":{"hate":1.10e-05}},{"flagged" : true} ]"#;
        let theirs = format!(r#"{{"id":"modr-theirs","model":"up","results":{results},"x":0.10,"usage":{{}}}}"#);
        assert_eq!(
            read(2, &theirs).unwrap(),
            format!(
                r#"{{"code":0,"msg":"","id":"modr-00112233445566778899aabbccddeeff","model":"gpt-3.5","results":{results},"x":0.10}}"#
            )
        );
    }

    #[rstest]
    #[case::nothing("{}", Nonsense::Missing("results"))]
    #[case::none(r#"{"results":[]}"#, Nonsense::OtherNumber { what: "results", found: 0, asked: 2 })]
    #[case::too_few(r#"{"results":[{"flagged":true}]}"#, Nonsense::OtherNumber { what: "results", found: 1, asked: 2 })]
    #[case::no_verdict(r#"{"results":[{"flagged":true},{}]}"#, Nonsense::Missing("flagged in a result"))]
    #[case::odd_verdict(r#"{"results":[{"flagged":true},{"flagged":0}]}"#, Nonsense::Missing("flagged in a result"))]
    #[case::error(r#"{"error":{"message":"no"}}"#, Nonsense::ProviderError(Excerpt::of("no")))]
    fn nonsense(#[case] json: &str, #[case] expected: Nonsense) {
        assert_eq!(read(2, json), Err(expected));
    }

    #[test]
    fn more_judgements_than_inputs_do_no_harm() {
        assert!(read(1, r#"{"results":[{"flagged":true},{"flagged":false}]}"#).is_ok());
    }
}
