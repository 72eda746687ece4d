//! Reading a request's body within bounds: header key, content type, size, in this order.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use shared::keyring::Caller;
use shared::refusal::{Reason, Refusal};
use shared::throttle::network_of;
use tokio::time::timeout;

use crate::reply::Refused;
use crate::room::{FREE_BYTES, Room, Sender, Share};
use crate::surface::Surface;
use crate::visit::Visit;
use crate::{auth, peer};

/// How long a whole body may take.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How long a client may pause within its body.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Seconds after which a body for which there was no room may be sent again.
const NO_ROOM_RETRY_S: u32 = 2;
/// Up to this much of a refused request's body is read and forgotten, so that its connection can serve the next one.
const MOST_DISCARDED: usize = 64 * 1024;
/// How long that may take.
const LONGEST_DISCARD: Duration = Duration::from_secs(1);

/// A body that has arrived.
pub(crate) struct Received {
    /// All of it; empty when there was none.
    pub(crate) bytes: Bytes,
    /// Who called, when the key was in a header.
    pub(crate) caller: Option<Caller>,
    /// The room that it takes, if it is not small: for those who keep it, or what they read out of it.
    pub(crate) share: Option<Share>,
}

/// Reads the body of `request`.
pub(crate) async fn receive(
    surface: &Surface,
    visit: &Visit,
    request: &HttpRequest,
    mut payload: Payload,
) -> Result<Received, Refused> {
    match read(surface, visit, request, &mut payload).await {
        Ok(received) => Ok(received),
        Err(refusal) => Err(refuse(request.headers(), payload, refusal).await),
    }
}

/// Refuses a request whose body was not read to its end. A small rest is read and forgotten; a large one closes the connection.
pub(crate) async fn refuse(headers: &HeaderMap, mut payload: Payload, refusal: Refusal) -> Refused {
    let refused = Refused::from(refusal);
    let is_small = declared_length(headers).is_none_or(|length| length <= MOST_DISCARDED as u64);
    if is_small && timeout(LONGEST_DISCARD, discard(&mut payload)).await.unwrap_or(false) {
        return refused;
    }
    refused.leaving_unread(payload)
}

async fn read(
    surface: &Surface,
    visit: &Visit,
    request: &HttpRequest,
    payload: &mut Payload,
) -> Result<Received, Refusal> {
    let caller = auth::from_headers(surface, visit, request).await?;
    let headers = request.headers();
    if !has_body(headers) {
        return Ok(Received { bytes: Bytes::new(), caller, share: None });
    }
    let limits = &surface.deployment.settings.limits;
    let limit = if caller.is_some() { limits.body_bytes } else { limits.keyed_body_bytes };
    let unsupported = unsupported(headers);
    // Without a declared length only the first piece tells whether there is a body at all.
    let length = declared_length(headers);
    if let (Some(refusal), Some(_)) = (&unsupported, length) {
        return Err(refusal.clone());
    }
    if length.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit, caller.is_some()));
    }
    let sender = || match &caller {
        Some(caller) => Sender::Tenant(caller.tenant),
        None => {
            let address = peer::address(request, &surface.deployment.settings.trusted.proxies);
            Sender::Network(address.map(network_of))
        }
    };
    let reading = collect(payload, Wanted { limit, length, unsupported }, &surface.room, sender);
    let (bytes, share) = match timeout(LONGEST_WAIT, reading).await {
        Ok(collected) => collected.map_err(|failed| match failed {
            Interrupted::TooLarge => too_large(limit, caller.is_some()),
            Interrupted::Broken => incomplete("the body did not arrive whole: check its Content-Length or its chunks"),
            Interrupted::Paused => incomplete("the body stopped arriving"),
            Interrupted::NoRoom => no_room(caller.is_some()),
            Interrupted::Refused(refusal) => refusal,
        })?,
        Err(_) => return Err(incomplete("the body took too long to arrive")),
    };
    Ok(Received { bytes, caller, share })
}

enum Interrupted {
    TooLarge,
    NoRoom,
    Broken,
    Paused,
    Refused(Refusal),
}

/// What is taken in.
struct Wanted {
    /// So many bytes at most.
    limit: usize,
    /// The declared length.
    length: Option<u64>,
    /// Why a body that is not empty is refused.
    unsupported: Option<Refusal>,
}

/// Collects the pieces, and takes room for them when they are more than a few.
async fn collect(
    payload: &mut Payload,
    Wanted { limit, length, unsupported }: Wanted,
    room: &Room,
    sender: impl Fn() -> Sender,
) -> Result<(Bytes, Option<Share>), Interrupted> {
    let declared = length.and_then(|length| usize::try_from(length).ok());
    let mut share = None;
    let mut whole = BytesMut::new();
    while let Some(piece) = timeout(LONGEST_PAUSE, payload.next()).await.map_err(|_| Interrupted::Paused)? {
        let piece = piece.map_err(|_| Interrupted::Broken)?;
        if let Some(refusal) = &unsupported
            && !piece.is_empty()
        {
            return Err(Interrupted::Refused(refusal.clone()));
        }
        if piece.len() > limit.saturating_sub(whole.len()) {
            return Err(Interrupted::TooLarge);
        }
        let arrived = whole.len() + piece.len();
        if arrived > FREE_BYTES {
            let share = share.get_or_insert_with(|| room.share(sender()));
            if !share.cover(arrived, declared, limit) {
                return Err(Interrupted::NoRoom);
            }
        }
        // Most bodies come in one piece, which needs no copy.
        if whole.is_empty() && length == Some(arrived as u64) {
            return Ok((piece, share));
        }
        if let Some(declared) = declared
            && whole.capacity() < arrived
        {
            // All that is still to come: growing step by step would take up to three times as much. But what takes no room gets little.
            let expected = if arrived > FREE_BYTES { declared } else { declared.min(FREE_BYTES) };
            whole.reserve(expected.saturating_sub(whole.len()));
        }
        whole.extend_from_slice(&piece);
    }
    Ok((whole.freeze(), share))
}

/// Reads and forgets the rest. Gives whether that was all of it.
async fn discard(payload: &mut Payload) -> bool {
    let mut discarded = 0;
    while let Some(piece) = payload.next().await {
        let Ok(piece) = piece else { return false };
        discarded += piece.len();
        if discarded > MOST_DISCARDED {
            return false;
        }
    }
    true
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || declared_length(headers).is_some_and(|length| length > 0)
}

/// The declared length. The server has refused what is no number.
fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// Why a body of this kind is not read.
fn unsupported(headers: &HeaderMap) -> Option<Refusal> {
    let is_plain = headers.get(CONTENT_ENCODING).is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if !is_plain {
        let message =
            "the body is compressed, which is not supported: send it plain, without the header \"Content-Encoding\"";
        return Some(Refusal::new(Reason::UnsupportedMediaType, message));
    }
    let essence = headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().split(|byte| *byte == b';').next());
    if essence.is_some_and(|essence| essence.trim_ascii().eq_ignore_ascii_case(b"application/json")) {
        return None;
    }
    let message = "the body must be declared as JSON: send the header \"Content-Type: application/json\"";
    Some(Refusal::new(Reason::UnsupportedMediaType, message))
}

fn too_large(limit: usize, has_header_key: bool) -> Refusal {
    let advice = if has_header_key {
        ""
    } else {
        " (more is allowed when the Secret Key is in a header: \"Authorization: Bearer KEY\")"
    };
    Refusal::new(Reason::RequestTooLarge, format!("the body is larger than {limit} bytes{advice}"))
}

fn no_room(has_header_key: bool) -> Refusal {
    let advice = if has_header_key {
        ""
    } else {
        " (there is more room for those who send the Secret Key in a header: \"Authorization: Bearer KEY\")"
    };
    let message =
        format!("too many large bodies are on their way just now; nothing was charged, try again shortly{advice}");
    Refusal::new(Reason::QueueFull, message).retry_after(NO_ROOM_RETRY_S)
}

fn incomplete(message: &str) -> Refusal {
    Refusal::new(Reason::InvalidJson, message)
}
