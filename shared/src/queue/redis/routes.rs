//! Which answer belongs to whom: the entries of this process' answers' stream are given to those who wait for them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::super::{Frame, Silence};
use super::codec::{self, Header, Kind};
use super::timings::MOST_END_BYTES;
use crate::id::RequestId;

/// Places in a client's buffer behind those for chunks: for the end, and for why none comes.
const PLACES_FOR_THE_END: usize = 2;

/// Everybody who waits for an answer in this process.
#[derive(Default)]
pub(super) struct Routes {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The stream that is listened to. `None` while the queue is lost.
    stream: Option<Arc<str>>,
    routes: HashMap<RequestId, Route>,
}

struct Route {
    frames: mpsc::Sender<Result<Frame, Silence>>,
    /// The run that is followed: the first that sent anything.
    run: Option<String>,
    /// The number of its next entry.
    next: u64,
    /// What came of a body that travels in parts.
    parts: Vec<u8>,
    /// Whether Redis has said that it has the job.
    is_queued: bool,
}

/// The way of one answer.
pub(super) struct Opened {
    pub(super) stream: Arc<str>,
    pub(super) frames: mpsc::Receiver<Result<Frame, Silence>>,
}

impl Routes {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on answers come through this stream.
    pub(super) fn listen(&self, stream: Arc<str>) {
        self.lock().stream = Some(stream);
    }

    pub(super) fn is_listening(&self) -> bool {
        self.lock().stream.is_some()
    }

    pub(super) fn stream(&self) -> Option<Arc<str>> {
        self.lock().stream.clone()
    }

    /// A way for the answer to a request, with a buffer of so many chunks. `None` when no answers are heard, or there is one already.
    pub(super) fn open(&self, request_id: RequestId, chunks: usize) -> Option<Opened> {
        let mut state = self.lock();
        let stream = Arc::clone(state.stream.as_ref()?);
        let Entry::Vacant(place) = state.routes.entry(request_id) else {
            // Each admission makes a new id, so this is a fault of ours; two jobs of one id could not be told apart.
            tracing::error!(%request_id, "a job was submitted twice");
            return None;
        };
        let (sender, frames) = mpsc::channel(chunks + PLACES_FOR_THE_END);
        place.insert(Route { frames: sender, run: None, next: 0, parts: Vec::new(), is_queued: false });
        Some(Opened { stream, frames })
    }

    /// Redis has the job.
    pub(super) fn is_queued(&self, request_id: RequestId) {
        if let Some(route) = self.lock().routes.get_mut(&request_id) {
            route.is_queued = true;
        }
    }

    /// The jobs that Redis should have, or have ended.
    pub(super) fn queued(&self) -> Vec<RequestId> {
        let state = self.lock();
        state.routes.iter().filter(|(_, route)| route.is_queued).map(|(&request_id, _)| request_id).collect()
    }

    pub(super) fn close(&self, request_id: RequestId) {
        self.lock().routes.remove(&request_id);
    }

    /// Tells all who wait that the queue is lost, and gives how many they were.
    pub(super) fn lose(&self) -> usize {
        let mut state = self.lock();
        state.stream = None;
        let lost: Vec<Route> = state.routes.drain().map(|(_, route)| route).collect();
        drop(state);
        lost.iter().for_each(|route| route.end(Silence::QueueLost));
        lost.len()
    }

    /// Gives one entry to whom it belongs.
    pub(super) fn deliver(&self, header: &Header, body: Bytes) {
        let mut state = self.lock();
        let Entry::Occupied(mut route) = state.routes.entry(header.request_id) else { return };
        match route.get_mut().deliver(header, body) {
            Flow::GoesOn => {}
            Flow::Ended => {
                route.remove();
            }
            Flow::Broken(why) => {
                tracing::error!(request_id = %header.request_id, why, "an answer broke off");
                route.remove().end(Silence::NoWorker);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().routes.len()
    }
}

enum Flow {
    GoesOn,
    Ended,
    Broken(&'static str),
}

impl Route {
    fn end(&self, silence: Silence) {
        // Its place is kept free; who does not listen any more need not know.
        let _ = self.frames.try_send(Err(silence));
    }

    fn deliver(&mut self, header: &Header, body: Bytes) -> Flow {
        match header.kind {
            Kind::Mark => {
                self.end(Silence::QueueLost);
                Flow::Ended
            }
            Kind::Over => {
                self.end(Silence::NoWorker);
                Flow::Ended
            }
            Kind::HandedBack => {
                (self.run, self.next) = (None, 0);
                self.parts.clear();
                Flow::GoesOn
            }
            Kind::Part | Kind::Frames => self.receive(header, body),
        }
    }

    fn receive(&mut self, header: &Header, body: Bytes) -> Flow {
        let run = self.run.get_or_insert_with(|| header.token.clone());
        if *run != header.token {
            // Two runs of one job are two answers. That another one speaks also means that ours has lost the job.
            return Flow::Broken("its worker lost the job to another one");
        }
        if header.number < self.next {
            return Flow::GoesOn; // Sent twice, because the connection broke before the worker knew.
        }
        if header.number > self.next {
            return Flow::Broken("a part of it is lost");
        }
        self.next += 1;
        if header.kind == Kind::Part || !self.parts.is_empty() {
            if self.parts.len() + body.len() > MOST_END_BYTES {
                return Flow::Broken("it is too large");
            }
            self.parts.extend_from_slice(&body);
        }
        if header.kind == Kind::Part {
            return Flow::GoesOn;
        }
        let body = if self.parts.is_empty() { body } else { std::mem::take(&mut self.parts).into() };
        let Some(frames) = codec::read_frames(body) else {
            return Flow::Broken("it cannot be read");
        };
        for frame in frames {
            let is_end = matches!(frame, Frame::End(_));
            if !is_end && self.frames.capacity() <= PLACES_FOR_THE_END {
                return Flow::Broken("more of it came than its client has room for");
            }
            if self.frames.try_send(Ok(frame)).is_err() || is_end {
                // The end, or the client has left a moment ago.
                return Flow::Ended;
            }
        }
        Flow::GoesOn
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Chunk, End};
    use super::*;
    use crate::tokens::Tally;

    fn entry(request_id: RequestId, kind: Kind, number: u64, token: &str) -> Header {
        Header { request_id, kind, number, token: token.to_owned() }
    }

    fn chunk(text: &str) -> Bytes {
        let mut body = Vec::new();
        codec::write_chunk(&mut body, &Chunk { json: text.to_owned().into(), generated: Tally::default() });
        body.into()
    }

    fn end() -> Bytes {
        let mut body = Vec::new();
        codec::write_end(&mut body, &End::Lost);
        body.into()
    }

    struct Scene {
        routes: Routes,
        id: RequestId,
        opened: Opened,
    }

    fn scene(chunks: usize) -> Scene {
        let routes = Routes::default();
        routes.listen("stream".into());
        let id = RequestId::new();
        let opened = routes.open(id, chunks).unwrap();
        Scene { routes, id, opened }
    }

    impl Scene {
        fn deliver(&self, kind: Kind, number: u64, token: &str, body: Bytes) {
            self.routes.deliver(&entry(self.id, kind, number, token), body);
        }

        /// What has come: chunks' texts, `end`, or why there is none.
        fn came(&mut self) -> Vec<String> {
            std::iter::from_fn(|| self.opened.frames.try_recv().ok())
                .map(|item| match item {
                    Ok(Frame::Chunk(chunk)) => String::from_utf8(chunk.json.to_vec()).unwrap(),
                    Ok(Frame::End(_)) => "end".to_owned(),
                    Err(silence) => format!("{silence:?}"),
                })
                .collect()
        }
    }

    #[test]
    fn an_entry_that_comes_twice_counts_once() {
        let mut scene = scene(4);
        for number in [0, 0, 1, 0, 1] {
            scene.deliver(Kind::Frames, number, "w/1", chunk(&number.to_string()));
        }
        scene.deliver(Kind::Frames, 2, "w/1", end());
        scene.deliver(Kind::Frames, 2, "w/1", end());
        assert_eq!(scene.came(), ["0", "1", "end"]);
        assert_eq!(scene.routes.len(), 0);
    }

    #[test]
    fn another_run_is_not_mixed_into_the_one_that_is_followed() {
        let mut scene = scene(4);
        scene.deliver(Kind::Frames, 0, "w/1", chunk("ours"));
        scene.deliver(Kind::Frames, 0, "v/1", chunk("theirs"));
        scene.deliver(Kind::Frames, 1, "w/1", end());
        assert_eq!(scene.came(), ["ours", "NoWorker"]);
    }

    #[test]
    fn a_run_that_was_handed_back_is_followed_by_the_next() {
        let mut scene = scene(4);
        scene.deliver(Kind::Frames, 0, "w/1", chunk("a"));
        scene.deliver(Kind::HandedBack, 0, "w/1", Bytes::new());
        scene.deliver(Kind::Frames, 0, "v/1", chunk("b"));
        scene.deliver(Kind::Frames, 1, "v/1", end());
        assert_eq!(scene.came(), ["a", "b", "end"]);
    }

    #[test]
    fn a_gap_ends_the_answer() {
        let mut scene = scene(4);
        scene.deliver(Kind::Frames, 0, "w/1", chunk("a"));
        scene.deliver(Kind::Frames, 2, "w/1", end());
        assert_eq!(scene.came(), ["a", "NoWorker"]);
    }

    #[test]
    fn parts_are_put_together_and_a_cut_one_is_refused() {
        let mut one = scene(4);
        let body = end();
        one.deliver(Kind::Part, 0, "w/1", body.slice(..3));
        one.deliver(Kind::Part, 1, "w/1", body.slice(3..4));
        one.deliver(Kind::Frames, 2, "w/1", body.slice(4..));
        assert_eq!(one.came(), ["end"]);
        let mut other = scene(4);
        other.deliver(Kind::Frames, 0, "w/1", body.slice(..3));
        assert_eq!(other.came(), ["NoWorker"]);
    }

    #[test]
    fn the_buffer_is_bounded_and_keeps_a_place_for_the_end() {
        let mut scene = scene(2);
        scene.deliver(Kind::Frames, 0, "w/1", chunk("a"));
        scene.deliver(Kind::Frames, 1, "w/1", chunk("b"));
        scene.deliver(Kind::Frames, 2, "w/1", chunk("c"));
        assert_eq!(scene.came(), ["a", "b", "NoWorker"]);
    }

    #[test]
    fn who_waits_when_the_queue_is_lost_hears_of_it_and_nobody_new_can_wait() {
        let mut scene = scene(2);
        scene.deliver(Kind::Frames, 0, "w/1", chunk("a"));
        assert_eq!(scene.routes.lose(), 1);
        assert_eq!(scene.came(), ["a", "QueueLost"]);
        assert!(scene.routes.open(RequestId::new(), 2).is_none());
    }
}
