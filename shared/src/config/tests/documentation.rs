//! That `default.toml`, the program and its listing tell the same.

use std::collections::BTreeSet;

use super::super::names::{WELL_KNOWN, variable_of_setting};
use super::super::sources::DEFAULTS;
use super::*;

#[test]
fn every_setting_of_the_defaults_is_commented() {
    let mut before = "";
    for line in DEFAULTS.lines() {
        let is_setting = line.starts_with(|c: char| c.is_ascii_lowercase());
        assert!(!is_setting || before.starts_with("# "), "{line}");
        before = line;
    }
}

#[test]
fn the_comments_tell_the_ranges_that_are_checked() {
    let mut comment = String::new();
    let mut section = String::new();
    let mut checked = 0;
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned() + ".";
            comment.clear();
        } else if let Some(text) = line.strip_prefix('#') {
            comment += text;
        } else if let Some((name, value)) = line.split_once(" = ") {
            if value.parse::<i64>().is_ok() {
                let variable = variable_of_setting(&format!("{section}{name}"));
                let message = from_environment(&[(&variable, "-1")]).unwrap_err().to_string();
                let (_, range) = message.split_once(": must be ").unwrap();
                assert!(comment.contains(&format!(" {range}")), "{variable}: {range}, but:{comment}");
                checked += 1;
            }
            comment.clear();
        }
    }
    let settings = from_environment(&[]).unwrap();
    let numbers = settings.describe().into_iter().filter(|(_, value)| value.parse::<i64>().is_ok());
    assert_eq!(checked, numbers.count());
}

#[test]
fn every_setting_can_be_given_by_its_variable() {
    for name in default_names() {
        let variable = variable_of_setting(&name);
        // Texts and lists take anything; everything else refuses this, and says so by the variable's name.
        let Err(error) = from_environment(&[(&variable, "!")]) else {
            let changed = from_environment(&[(&variable, "!")]).unwrap();
            assert_ne!(changed.describe(), from_environment(&[]).unwrap().describe(), "{variable} changes nothing");
            continue;
        };
        assert!(matches!(error, SettingsError::Invalid { .. }), "{error}");
        assert!(error.to_string().starts_with(&variable), "{error}");
    }
}

#[test]
fn every_setting_is_described_once_and_in_order() {
    let settings = from_environment(&[]).unwrap();
    let described: Vec<&str> =
        settings.describe().into_iter().map(|(name, _)| name).filter(|name| *name != "model").collect();
    let unique: BTreeSet<&str> = described.iter().copied().collect();
    assert_eq!(unique.len(), described.len());
    let known = default_names();
    assert_eq!(unique, known.iter().map(String::as_str).collect());
    assert!(WELL_KNOWN.iter().all(|(_, name)| unique.contains(name)));
}
