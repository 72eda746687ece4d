//! Looks for any piece of a secret in anything: as it is, and in the forms that programs write bytes in.

use std::collections::HashMap;

/// So many bytes in a row begin a piece.
const START: usize = 10;
/// So many bytes of a secret in a row are a leak, however they are written. Fewer are found by chance: the numbers of a hash are such a list too.
const PIECE: usize = 7;

/// The pieces of all secrets.
pub(super) struct Search {
    /// By how they begin: what has to follow, and what it is a piece of.
    pieces: HashMap<[u8; START], Vec<(Vec<u8>, String)>>,
    /// Whether a piece begins with these two bytes.
    beginnings: Vec<bool>,
}

impl Search {
    /// A search for these secrets, by their names.
    pub(super) fn new(secrets: &[(String, Vec<u8>)]) -> Self {
        let mut search = Self { pieces: HashMap::new(), beginnings: vec![false; 1 << 16] };
        for (name, secret) in secrets {
            assert!(secret.len() >= 2 * START, "{name} is too short to be looked for");
            for (form, bytes) in forms(secret) {
                let length = START.max((bytes.len() * PIECE).div_ceil(secret.len()));
                for piece in bytes.windows(length) {
                    let (start, rest) = piece.split_first_chunk().unwrap();
                    search.beginnings[beginning(piece)] = true;
                    search.pieces.entry(*start).or_default().push((rest.to_vec(), format!("{name} ({form})")));
                }
            }
        }
        search
    }

    /// The names of what was found, with what stands around it.
    pub(super) fn find(&self, haystack: &[u8]) -> Vec<String> {
        let mut found = HashMap::new();
        for (position, window) in haystack.windows(START).enumerate() {
            if !self.beginnings[beginning(window)] {
                continue;
            }
            let rest = &haystack[position + START..];
            for (_, name) in self.pieces.get(window).into_iter().flatten().filter(|(piece, _)| rest.starts_with(piece))
            {
                let around = &haystack[position.saturating_sub(300)..(position + 200).min(haystack.len())];
                found.entry(name).or_insert_with(|| String::from_utf8_lossy(around).into_owned());
            }
        }
        found.into_iter().map(|(name, around)| format!("{name}: ...{around}...")).collect()
    }
}

fn beginning(piece: &[u8]) -> usize {
    usize::from(piece[0]) << 8 | usize::from(piece[1])
}

/// A secret as programs write it.
pub(super) fn forms(secret: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut forms = vec![("as it is".to_owned(), secret.to_vec())];
    let mut add = |name: &str, text: String| forms.push((name.to_owned(), text.into_bytes()));
    add("hexadecimal", secret.iter().map(|byte| format!("{byte:02x}")).collect());
    add("HEXADECIMAL", secret.iter().map(|byte| format!("{byte:02X}")).collect());
    add("list", secret.iter().map(|byte| format!("{byte}, ")).collect());
    add("compact list", secret.iter().map(|byte| format!("{byte},")).collect());
    add("percent", secret.iter().map(|byte| format!("%{byte:02X}")).collect());
    add("escapes", secret.iter().map(|byte| format!("\\u{byte:04x}")).collect());
    // Within a longer text the groups of three bytes may begin at any of three places.
    for skipped in 0..3 {
        let encoded = base64(&secret[skipped..secret.len() - (secret.len() - skipped) % 3]);
        add("base64", encoded.clone());
        add("base64 for URLs", encoded.replace('+', "-").replace('/', "_"));
    }
    let backwards: Vec<u8> = secret.iter().rev().copied().collect();
    forms.push(("backwards".to_owned(), backwards));
    forms
}

/// Base64 of whole groups of three bytes.
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let number = three.iter().fold(0, |number: usize, byte| number << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(ALPHABET[number >> shift & 63]))
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

#[test]
fn base64_is_base64() {
    assert_eq!(base64(b"light work"), "bGlnaHQgd29y");
    assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
}

#[test]
fn a_piece_is_found_and_chance_is_not() {
    let secret = *b"correct.horse.battery.staple";
    let search = Search::new(&[("secret".to_owned(), secret.to_vec())]);
    for (form, bytes) in forms(&secret) {
        let width = bytes.len() as f64 / secret.len() as f64;
        let piece = &bytes[(3.0 * width) as usize..(13.0 * width) as usize];
        assert!(!search.find(piece).is_empty(), "{form}");
    }
    assert!(search.find(b"99,111,114,255,0,99,111,114,").is_empty());
}
